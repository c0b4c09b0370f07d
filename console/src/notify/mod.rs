//! Tells commands and web hooks of alerts.
