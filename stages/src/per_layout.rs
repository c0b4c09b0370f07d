//! What a transform works out once for each layout of the records.

use std::sync::Arc;

use aqpipe_engine::record::Fields;

/// A value that depends on the layout, made anew when the layout changes.
#[derive(Debug)]
pub(crate) struct PerLayout<T> {
    bound: Option<(Arc<Fields>, T)>,
}

impl<T> Default for PerLayout<T> {
    fn default() -> Self {
        PerLayout { bound: None }
    }
}

impl<T> PerLayout<T> {
    /// The value for `layout`, made by `make` unless it is that of the last call.
    pub(crate) fn get_or_bind(&mut self, layout: &Arc<Fields>, make: impl FnOnce(&Fields) -> T) -> &T {
        // `Arc` compares the pointers first, so that this costs nothing for batch after batch.
        let same = self.bound.as_ref().is_some_and(|(known, _)| known == layout);
        if !same {
            self.bound = None;
        }
        &self.bound.get_or_insert_with(|| (Arc::clone(layout), make(layout))).1
    }
}
