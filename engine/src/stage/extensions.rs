//! Values by their type.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

/// Values that stages share, one of each type. An embedded broker reaches its stages this way, while the engine knows
/// nothing of brokers.
#[derive(Default)]
pub struct Extensions {
    values: RwLock<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>,
}

impl Extensions {
    /// Puts a value there, in place of an earlier one of its type.
    pub fn put<T: Any + Send + Sync>(&self, value: Arc<T>) {
        self.values.write().insert(TypeId::of::<T>(), value);
    }

    /// The value of a type, made where there is none yet.
    pub fn get_or_put<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        let mut values = self.values.write();
        let value = values.entry(TypeId::of::<T>()).or_insert_with(|| Arc::new(make()));
        // The key is the type, so that nothing else is there.
        Arc::clone(value).downcast().unwrap_or_else(|_| unreachable!("a value of another type"))
    }

    /// The value of a type.
    pub fn get<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let value = self.values.read().get(&TypeId::of::<T>()).cloned()?;
        value.downcast().ok()
    }
}
