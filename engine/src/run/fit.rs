//! The pass over the whole input that some transforms ask for before the run.

use std::sync::Arc;
use std::time::Duration;

use super::chain::{Chain, ChainOutput};
use crate::config::{Pipeline, StageSpec};
use crate::error::{Error, Result};
use crate::stage::{BuildContext, Fitter, Poll, Source, TransformConfig};

/// Rows in a batch of the pass.
const BATCH_ROWS_MAX: usize = 8192;
/// How long a reader may wait for input before the pass looks for a stop.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// What each transform learned, by its place; `None` for those that did not ask. Each pass goes through the transforms before
/// the one that asked, so that a later one learns from what the earlier ones make of their own.
pub(super) fn fit_transforms(
    pipeline: &Pipeline,
    source: &dyn Source,
    cx: &BuildContext,
) -> Result<Vec<Option<Arc<[u8]>>>> {
    let mut fitted: Vec<Option<Arc<[u8]>>> = vec![None; pipeline.transforms.len()];
    for (i, stage) in pipeline.transforms.iter().enumerate() {
        let Some(mut fitter) = stage.config.fitter(&cx.for_stage(&stage.label)) else { continue };
        let started = cx.clock.now();
        let rows = pass(pipeline, i, source, cx, &fitted, &mut *fitter).map_err(|e| e.in_stage(&stage.label))?;
        fitted[i] = Some(fitter.finish().map_err(|e| e.in_stage(&stage.label))?.into());
        tracing::info!(
            "{}: read the whole input once before the run: {rows} records in {:.1} s",
            stage.label,
            (cx.clock.now() - started).as_secs_f64()
        );
    }
    Ok(fitted)
}

fn pass(
    pipeline: &Pipeline,
    before: usize,
    source: &dyn Source,
    cx: &BuildContext,
    fitted: &[Option<Arc<[u8]>>],
    fitter: &mut dyn Fitter,
) -> Result<u64> {
    // What the pass reads is read again by the run, and counted there.
    let cx = &BuildContext { metrics: Arc::default(), ..cx.clone() };
    let mut rows = 0;
    let readers = source.fit_readers()?;
    let all = readers.len() as f64;
    for (number, (_, mut reader)) in readers.into_iter().enumerate() {
        let mut chain = Chain::build(pipeline, before, cx, fitted)?;
        let observe =
            |fitter: &mut dyn Fitter, out: ChainOutput| out.batches.iter().try_for_each(|batch| fitter.observe(batch));
        loop {
            if cx.cancellation.is_stopped() {
                return Err(Error::stop("stopped before the run began"));
            }
            match reader.next(BATCH_ROWS_MAX, cx.clock.deadline(cx.clock.now() + READ_TIMEOUT))? {
                Poll::Rows(batch, _) => {
                    rows += batch.rows() as u64;
                    observe(fitter, chain.apply(batch)?)?;
                    if let Some(progress) = reader.progress() {
                        fitter.on_progress((number as f64 + progress) / all);
                    }
                }
                Poll::Idle => {}
                Poll::End => break,
            }
        }
        observe(fitter, chain.finish()?)?;
    }
    Ok(rows)
}

/// What the transforms learned in the pipeline's last run, for a replay of dead letters, which has no such input.
pub(super) fn fitted_for_replay(
    pipeline: &Pipeline,
    cx: &BuildContext,
    last: Vec<Option<Vec<u8>>>,
) -> Result<Vec<Option<Arc<[u8]>>>> {
    let mut last = last.into_iter();
    let of = |stage: &StageSpec<dyn TransformConfig>| {
        let known = last.next().flatten();
        if stage.config.fitter(&cx.for_stage(&stage.label)).is_none() {
            return Ok(None);
        }
        known.map(|known| Some(Arc::from(known))).ok_or_else(|| {
            Error::config("it has to learn from the whole input, and has not yet")
                .in_stage(&stage.label)
                .help("run the pipeline once before its dead letters are replayed")
        })
    };
    pipeline.transforms.iter().map(of).collect()
}
