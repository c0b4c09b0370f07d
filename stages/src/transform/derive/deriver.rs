//! Adds features to batches.

use std::sync::Arc;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, CellQuality, Column, Field, Fields, Kind, Numbers};
use aqpipe_engine::stage::{BuildContext, Output, Transform};
use arrow_array::Float64Array;
use arrow_buffer::ScalarBuffer;

use super::calendar::Calendar;
use super::feature::Unit;
use crate::per_layout::PerLayout;
use crate::warn_once::WarnOnce;

/// The layout with the fields of these names behind its own.
pub(super) fn extend<'a>(input: &Fields, names: impl Iterator<Item = &'a Arc<str>>) -> Fields {
    let mut fields = input.clone();
    let field = |name: &Arc<str>| Field { name: Arc::clone(name), kind: Kind::Number, derived: true };
    fields.list.extend(names.map(field));
    fields
}

/// Adds the features to batches.
pub(super) struct Deriver {
    names: Vec<Arc<str>>,
    /// By feature: the part of the time, and the value for each step of that.
    tables: Vec<(Unit, [f64; 32])>,
    stage: Arc<str>,
    warned: Arc<WarnOnce>,
    layout: PerLayout<DerivedLayout>,
    /// The quality of a derived column, as long as the longest batch so far. All columns share it.
    quality: ScalarBuffer<u32>,
}

/// A layout with the features that are added to it.
#[derive(Clone)]
struct DerivedLayout {
    layout: Arc<Fields>,
    /// The features that are added, by their numbers: those whose name the layout does not have.
    features: Arc<[usize]>,
}

/// The name of a feature, and its values by unit.
pub(super) type NamedFeature = (Arc<str>, (Unit, [f64; 32]));

impl Deriver {
    pub(super) fn new(features: Vec<NamedFeature>, cx: &BuildContext) -> Deriver {
        let (names, tables) = features.into_iter().unzip();
        Deriver {
            names,
            tables,
            stage: Arc::clone(cx.stage()),
            warned: cx.pipeline_extensions().get_or_put(WarnOnce::default),
            layout: PerLayout::default(),
            quality: Vec::new().into(),
        }
    }

    /// The features to add to a layout, which keeps its own fields.
    fn bind(&self, layout: &Fields) -> DerivedLayout {
        let (free, taken): (Vec<usize>, Vec<usize>) =
            (0..self.names.len()).partition(|number| layout.is_free(&self.names[*number]));
        for name in taken.iter().map(|number| &self.names[*number]) {
            let message = || {
                format!(
                    "`{name}` is a field of the records as they come and a feature of `{}`: the field is kept, and the \
                     feature is not added to such records; `prefix` gives the features names of their own",
                    self.stage
                )
            };
            self.warned.warn(message, &format!("{}: {name}", self.stage));
        }
        let layout = Arc::new(extend(layout, free.iter().map(|number| &self.names[*number])));
        DerivedLayout { layout, features: free.into() }
    }
}

impl Transform for Deriver {
    fn apply(&mut self, batch: Batch, out: &mut Output) -> Result<()> {
        let mut bound = std::mem::take(&mut self.layout);
        let DerivedLayout { layout, features } = bound.get_or_bind(batch.fields(), |layout| self.bind(layout)).clone();
        self.layout = bound;
        let rows = batch.rows();
        if self.quality.len() < rows {
            self.quality = vec![CellQuality::DERIVED.0; rows].into();
        }
        let calendar = Calendar::of(batch.time(), batch.utc_offset());
        let column = |(unit, table): &(Unit, [f64; 32])| {
            let steps = match unit {
                Unit::Hour => &calendar.hour,
                Unit::Day => &calendar.day_of_week,
                Unit::Month => &calendar.month,
            };
            let values: Vec<f64> = steps.iter().map(|step| table[usize::from(step & 31)]).collect();
            Column::Number(Numbers {
                values: Float64Array::new(values.into(), None),
                quality: self.quality.slice(0, rows),
            })
        };
        let columns = features.iter().map(|number| column(&self.tables[*number])).collect();
        out.batches.push(batch.with_columns(columns, &layout)?);
        Ok(())
    }
}
