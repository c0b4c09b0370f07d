//! A message as the library lays it out, without the type that its bindings give to the error.

use std::ffi::c_void;
use std::mem::offset_of;

use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as sys;
use sys::rd_kafka_message_t as Bound;
use sys::rd_kafka_resp_err_t as Answer;

/// `rd_kafka_message_t` with its error as a number. The number may be a broker's, and one that the bindings do not know would be
/// no value of their type.
#[repr(C)]
pub(crate) struct RawMessage {
    pub(crate) err: i32,
    pub(crate) topic: *mut sys::rd_kafka_topic_t,
    pub(crate) partition: i32,
    pub(crate) payload: *mut c_void,
    pub(crate) len: usize,
    pub(crate) key: *mut c_void,
    pub(crate) key_len: usize,
    pub(crate) offset: i64,
    pub(crate) opaque: *mut c_void,
}

const _: () = {
    assert!(size_of::<RawMessage>() == size_of::<Bound>() && align_of::<RawMessage>() == align_of::<Bound>());
    assert!(offset_of!(RawMessage, err) == offset_of!(Bound, err) && size_of::<i32>() == size_of::<Answer>());
    assert!(offset_of!(RawMessage, topic) == offset_of!(Bound, rkt));
    assert!(offset_of!(RawMessage, partition) == offset_of!(Bound, partition));
    assert!(offset_of!(RawMessage, payload) == offset_of!(Bound, payload));
    assert!(offset_of!(RawMessage, len) == offset_of!(Bound, len));
    assert!(offset_of!(RawMessage, key) == offset_of!(Bound, key));
    assert!(offset_of!(RawMessage, key_len) == offset_of!(Bound, key_len));
    assert!(offset_of!(RawMessage, offset) == offset_of!(Bound, offset));
    assert!(offset_of!(RawMessage, opaque) == offset_of!(Bound, _private));
};

impl RawMessage {
    /// The error that it has; one that the bindings do not know is an unknown one.
    pub(crate) fn error(&self) -> Option<Code> {
        (self.err != 0).then(|| Answer::try_from(self.err).map_or(Code::Unknown, Code::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_that_the_bindings_do_not_know_is_an_unknown_one() {
        let message = |err| RawMessage {
            err,
            topic: std::ptr::null_mut(),
            partition: 0,
            payload: std::ptr::null_mut(),
            len: 0,
            key: std::ptr::null_mut(),
            key_len: 0,
            offset: 0,
            opaque: std::ptr::null_mut(),
        };
        assert_eq!(message(0).error(), None);
        assert_eq!(message(-191).error(), Some(Code::PartitionEOF));
        assert_eq!(message(3).error(), Some(Code::UnknownTopicOrPartition));
        assert_eq!(message(32_000).error(), Some(Code::Unknown));
    }
}
