//! Objects of librdkafka that are given back when they go out of scope.

use std::ptr::NonNull;

/// An object that this process owns, and the function that gives it back.
pub(crate) struct Handle<T> {
    object: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Handle<T> {
    /// Takes an object; `None` where there is none.
    ///
    /// # Safety
    /// `object` is null, or owned by nobody else and something that `destroy` may be called with once.
    pub(crate) unsafe fn own(object: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Handle<T>> {
        NonNull::new(object).map(|object| Handle { object, destroy })
    }

    pub(crate) fn as_ptr(&self) -> *mut T {
        self.object.as_ptr()
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        // SAFETY: whoever made the handle promised that this object may be given back once, and it is gone afterwards.
        unsafe { (self.destroy)(self.object.as_ptr()) }
    }
}
