//! The pass over the whole input that some transforms ask for before the run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::chain::{Chain, ChainOutput};
use super::runner::Stop;
use crate::config::Pipeline;
use crate::error::{Error, Result};
use crate::stage::{BuildContext, Fitter, Poll, Source};

/// Rows in a batch of the pass.
const BATCH_ROWS: usize = 8192;

/// What each transform learned; `None` for those that did not ask. Each pass goes through the transforms before the
/// one that asked, so a later one sees what an earlier one makes of its own survey.
pub(super) fn survey(
    pipeline: &Pipeline,
    source: &dyn Source,
    cx: &BuildContext,
    stop: &Stop,
) -> Result<Vec<Option<Arc<[u8]>>>> {
    let mut surveys: Vec<Option<Arc<[u8]>>> = vec![None; pipeline.transforms.len()];
    for (i, stage) in pipeline.transforms.iter().enumerate() {
        let stage_cx = cx.for_stage(&stage.label);
        let Some(mut survey) = stage.config.fitter(&stage_cx) else { continue };
        let started = Instant::now();
        let rows =
            pass(pipeline, i, source, cx, &surveys, survey.as_mut(), stop).map_err(|e| e.in_stage(&stage.label))?;
        surveys[i] = Some(survey.finish().map_err(|e| e.in_stage(&stage.label))?.into());
        tracing::info!(
            "{}: read the whole input once before the run: {rows} records in {:.1} s",
            stage.label,
            started.elapsed().as_secs_f64()
        );
    }
    Ok(surveys)
}

fn pass(
    pipeline: &Pipeline,
    before: usize,
    source: &dyn Source,
    cx: &BuildContext,
    surveys: &[Option<Arc<[u8]>>],
    survey: &mut dyn Fitter,
    stop: &Stop,
) -> Result<u64> {
    let mut rows = 0;
    let splits = source.fit_readers()?;
    let all = splits.len() as f64;
    for (number, (_, mut split)) in splits.into_iter().enumerate() {
        let mut chain = Chain::build(pipeline, before, cx, surveys)?;
        let observe = |survey: &mut dyn Fitter, passed: ChainOutput| {
            passed.batches.iter().try_for_each(|batch| survey.observe(batch))
        };
        loop {
            if stop.is_asked() {
                return Err(Error::new("stopped before the run began"));
            }
            match split.next(BATCH_ROWS, Instant::now() + Duration::from_secs(1))? {
                Poll::Rows(batch, _) => {
                    rows += batch.rows() as u64;
                    observe(survey, chain.apply(batch)?)?;
                    if let Some(share) = split.progress() {
                        survey.on_progress((number as f64 + share) / all);
                    }
                }
                Poll::Idle => {}
                Poll::End => break,
            }
        }
        observe(survey, chain.finish()?)?;
    }
    Ok(rows)
}
