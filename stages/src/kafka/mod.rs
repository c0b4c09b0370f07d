//! What the Kafka source, sink and dead letter share: client set-up, topics, the embedded broker.
