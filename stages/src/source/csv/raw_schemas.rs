//! What dead letters keep of the files that their rows are from.

use std::sync::Arc;

use super::raw_schema::RawSchema;

/// A raw schema, and its text.
pub(super) struct KeptSchema {
    pub(super) schema: RawSchema,
    pub(super) text: Arc<str>,
}

impl KeptSchema {
    fn of(schema: RawSchema) -> Arc<KeptSchema> {
        Arc::new(KeptSchema { text: schema.text(), schema })
    }
}

/// The raw schemas of the files of a split, by the number of the file. Neighbours mostly have the same.
#[derive(Default)]
pub(super) struct RawSchemas {
    /// Of the files that were opened: each from the first one that has it.
    known: Vec<(usize, Arc<KeptSchema>)>,
    /// Of a file before those: what was found out about it last.
    earlier: Option<(usize, Option<Arc<KeptSchema>>)>,
}

impl RawSchemas {
    /// Adds that of the file which is opened.
    pub(super) fn opened(&mut self, file: usize, schema: RawSchema) {
        if self.known.last().is_none_or(|(_, last)| last.schema != schema) {
            self.known.push((file, KeptSchema::of(schema)));
        }
    }

    /// Forgets the first files.
    pub(super) fn forget_first(&mut self, count: usize) {
        let of_next = self.known.partition_point(|(first, _)| *first <= count).saturating_sub(1);
        self.known.drain(..of_next);
        self.known.iter_mut().for_each(|(first, _)| *first = first.saturating_sub(count));
        self.earlier = None;
    }

    /// That of a file; `find` finds it out for one that was read by an earlier process.
    pub(super) fn of(&mut self, file: usize, find: impl FnOnce() -> Option<RawSchema>) -> Option<Arc<KeptSchema>> {
        if let Some(before) = self.known.partition_point(|(first, _)| *first <= file).checked_sub(1) {
            return Some(Arc::clone(&self.known[before].1));
        }
        match &self.earlier {
            Some((known, schema)) if *known == file => schema.clone(),
            _ => self.earlier.insert((file, find().map(KeptSchema::of))).1.clone(),
        }
    }
}
