//! The Kafka source as it runs.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::stage::{BuildContext, OffsetStore, Source, SourceContext, TransactionalBackend};

use super::group::Group;
use super::settings::Settings;
use crate::kafka::transactions::TransactionManager;

pub(super) struct KafkaSource {
    group: Group,
    transactions: Arc<TransactionManager>,
}

impl KafkaSource {
    /// Connects in the background and waits for nothing.
    ///
    /// # Errors
    /// Where the properties contradict each other.
    pub(super) fn new(settings: Settings, cx: &BuildContext) -> Result<KafkaSource> {
        let transactions = Arc::clone(&settings.transactions);
        Ok(KafkaSource { group: Group::new(settings, cx)?, transactions })
    }
}

impl Source for KafkaSource {
    fn offset_store(&self) -> Option<Arc<dyn OffsetStore>> {
        Some(Arc::new(self.group.offsets()))
    }

    fn transactional_backend(&self) -> Option<Arc<dyn TransactionalBackend>> {
        Some(Arc::clone(&self.transactions) as Arc<dyn TransactionalBackend>)
    }

    fn run(self: Box<Self>, splits: Arc<dyn SourceContext>) -> Result<()> {
        self.group.run(&splits)
    }
}
