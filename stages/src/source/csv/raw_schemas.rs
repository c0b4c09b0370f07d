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

/// Where a header begins: the number of the file, and the byte in it; 0 where it is the first one.
pub(super) type HeaderAt = (usize, u64);

/// The raw schemas of the files of a split, by their headers. Neighbours mostly have the same.
#[derive(Default)]
pub(super) struct RawSchemas {
    /// Of the headers that were read: each from the first one that has it.
    known: Vec<(HeaderAt, Arc<KeptSchema>)>,
    /// Of a header before those: what was found out about it last.
    earlier: Option<(HeaderAt, Option<Arc<KeptSchema>>)>,
}

impl RawSchemas {
    /// Adds that of the header by which reading goes on.
    pub(super) fn opened(&mut self, header: HeaderAt, schema: RawSchema) {
        if self.known.last().is_none_or(|(_, last)| last.schema != schema) {
            self.known.push((header, KeptSchema::of(schema)));
        }
    }

    /// Forgets the first files.
    pub(super) fn forget_first(&mut self, count: usize) {
        let of_next = self.known.partition_point(|(first, _)| *first <= (count, 0)).saturating_sub(1);
        self.known.drain(..of_next);
        for ((file, byte), _) in &mut self.known {
            if *file < count {
                *byte = 0;
            }
            *file = file.saturating_sub(count);
        }
        self.earlier = None;
    }

    /// That of what is read by a header; `find` finds it out for one that was read by an earlier process.
    pub(super) fn of(&mut self, header: HeaderAt, find: impl FnOnce() -> Option<RawSchema>) -> Option<Arc<KeptSchema>> {
        if let Some(before) = self.known.partition_point(|(first, _)| *first <= header).checked_sub(1) {
            return Some(Arc::clone(&self.known[before].1));
        }
        match &self.earlier {
            Some((known, schema)) if *known == header => schema.clone(),
            _ => self.earlier.insert((header, find().map(KeptSchema::of))).1.clone(),
        }
    }
}
