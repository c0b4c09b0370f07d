//! The wire format: from columns to bytes and back.

pub mod json;
pub mod text;
