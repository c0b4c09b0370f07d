mod alerts;
mod common;
mod health;
mod subjects;
mod thread;
