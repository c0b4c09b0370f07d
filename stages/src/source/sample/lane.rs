//! Generated records as batches. A record is a function of its number, so a lane resumes anywhere at once.

use std::sync::Arc;
use std::time::Instant;

use aqpipe_engine::Result;
use aqpipe_engine::record::{Batch, BatchParts, Column, Fields, Mark, Numbers, Position, Tests};
use aqpipe_engine::stage::{DeadLetter, Lane, Next};
use arrow_array::{BinaryArray, Float64Array, StringArray};
use arrow_buffer::NullBufferBuilder;

use super::Faults;
use super::readings::{Readings, chance};

/// Faults are drawn apart from the readings, so that a fault more does not change the rest.
const FAULTS: u64 = 0xfa17;

pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) records: u64,
    pub(super) stations: Vec<String>,
    pub(super) layout: Arc<Fields>,
    /// Which of the generated fields are wanted, in the layout's order.
    pub(super) columns: Vec<usize>,
    pub(super) first: i64,
    pub(super) offset: i16,
    pub(super) interval: i64,
    pub(super) faults: Faults,
    pub(super) keep_raw: bool,
}

impl Plan {
    fn time(&self, record: u64) -> i64 {
        let step = (record / self.stations.len() as u64) as i64;
        self.first.saturating_add(step.saturating_mul(self.interval))
    }

    fn station(&self, record: u64) -> usize {
        (record % self.stations.len() as u64) as usize
    }

    fn is_faulty(&self, share: f64, record: u64, what: u64) -> bool {
        share > 0.0 && chance(self.seed ^ FAULTS, record, what) < share
    }

    /// What a station might have sent for a record.
    fn raw(&self, record: u64) -> Vec<u8> {
        format!("{};{}", self.stations[self.station(record)], record).into_bytes()
    }
}

pub(super) struct SampleLane {
    pub(super) plan: Arc<Plan>,
    pub(super) position: Position,
}

impl Lane for SampleLane {
    fn next(&mut self, max: usize, _: Instant) -> Result<Next> {
        let plan = Arc::clone(&self.plan);
        let from = self.position.at;
        let to = plan.records.min(from.saturating_add(max as u64));
        if from >= to {
            return Ok(Next::End);
        }
        let rows = (to - from) as usize;
        let (mut good, mut dead) = (Vec::with_capacity(rows), Vec::new());
        for record in from..to {
            if plan.is_faulty(plan.faults.bad_timestamp, record, 0) {
                let reason = "no valid timestamp: a fault that was asked for";
                dead.push(DeadLetter::new(record, reason, Some(plan.raw(record))));
            } else {
                good.push(record);
            }
        }
        let mut columns: Vec<_> = plan
            .columns
            .iter()
            .map(|_| (Vec::with_capacity(rows), NullBufferBuilder::new(rows), Vec::with_capacity(rows)))
            .collect();
        let time: Vec<i64> = good.iter().map(|record| plan.time(*record)).collect();
        for (record, time) in good.iter().zip(&time) {
            let local = time.div_euclid(60_000_000) + i64::from(plan.offset);
            let readings =
                Readings::at(plan.seed, plan.station(*record) as u64, local, record / plan.stations.len() as u64);
            for (index, (values, nulls, marks)) in columns.iter_mut().enumerate() {
                let field = plan.columns[index];
                let (value, mark) = if plan.is_faulty(plan.faults.not_a_number, *record, 1 + field as u64) {
                    (None, Mark::MISSING.with_test(Tests::NOT_A_NUMBER))
                } else {
                    let large = plan.is_faulty(plan.faults.out_of_range, *record, 101 + field as u64);
                    let value = readings.get(field).map(|value| if large { value * 1000.0 } else { value });
                    (value, if value.is_some() { Mark::OBSERVED } else { Mark::MISSING })
                };
                values.push(value.unwrap_or_default());
                nulls.append(value.is_some());
                marks.push(mark.0);
            }
        }
        self.position = Position { at: to, row: to };
        let names = good.iter().map(|record| plan.stations[plan.station(*record)].as_str());
        let key = plan.layout.key.as_ref().map(|_| StringArray::from_iter_values(names));
        let raw = plan.keep_raw.then(|| BinaryArray::from_iter_values(good.iter().map(|record| plan.raw(*record))));
        let batch = Batch::new(BatchParts {
            fields: Arc::clone(&plan.layout),
            offset: vec![plan.offset; good.len()].into(),
            time: time.into(),
            key,
            columns: columns
                .into_iter()
                .map(|(values, mut nulls, marks)| {
                    let values = Float64Array::new(values.into(), nulls.finish());
                    Column::Number(Numbers { values, marks: marks.into() })
                })
                .collect(),
            score: None,
            origin: good.into(),
            raw,
        })?;
        Ok(Next::Rows(batch, dead))
    }

    fn position(&self) -> Position {
        self.position
    }

    fn lag(&self) -> Option<u64> {
        (self.plan.records < u64::MAX).then(|| self.plan.records - self.position.at)
    }
}

#[cfg(test)]
mod tests {
    use aqpipe_engine::stage::BuildContext;
    use arrow_array::Array as _;

    use super::super::{SampleConfig, SourceConfig as _};
    use super::*;

    fn lane(options: &str) -> Box<dyn Lane> {
        let config: SampleConfig = serde_json::from_str(options).expect("options");
        config.check().expect("sound options");
        let source = config.build(&BuildContext::for_tests()).expect("builds");
        source.survey().expect("opens").pop().expect("one").1
    }

    fn read(lane: &mut dyn Lane, max: usize) -> (Vec<Batch>, Vec<DeadLetter>) {
        let (mut batches, mut dead) = (Vec::new(), Vec::new());
        while let Next::Rows(batch, letters) = lane.next(max, Instant::now()).expect("reads") {
            batches.push(batch);
            dead.extend(letters);
        }
        (batches, dead)
    }

    #[test]
    fn readings_do_not_depend_on_how_they_are_read() {
        let all = |max| Batch::concat(&read(&mut *lane("{\"records\": 500}"), max).0).expect("joins").to_arrow();
        assert_eq!(all(500), all(7));
    }

    #[test]
    fn another_seed_gives_other_readings() {
        let of = |seed: u64| read(&mut *lane(&format!("{{\"records\": 50, \"seed\": {seed}}}")), 50).0[0].to_arrow();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    #[test]
    fn stations_take_turns_an_interval_after_the_other() {
        let batch = &read(&mut *lane("{\"records\": 4, \"stations\": [\"a\", \"b\"], \"interval_secs\": 60}"), 10).0[0];
        let keys: Vec<&str> = batch.key().expect("keys").iter().flatten().collect();
        assert_eq!(keys, ["a", "b", "a", "b"]);
        assert_eq!(batch.time()[2] - batch.time()[0], 60_000_000);
        assert_eq!(batch.time()[0], 1_078_938_000_000_000, "2004-03-10 18:00 an hour east of UTC");
    }

    #[test]
    fn gaps_and_failures_have_the_shape_of_the_real_ones() {
        let (batches, dead) = read(&mut *lane("{}"), 10_000);
        assert!(dead.is_empty());
        let missing = |field: usize| {
            batches[0].numbers(field).map_or(0, |numbers| numbers.values.nulls().map_or(0, |n| n.null_count()))
        };
        let share = |field: usize| missing(field) as f64 / 9357.0;
        assert_eq!(batches[0].rows(), 9357);
        assert!((0.1..0.3).contains(&share(0)), "CO: {}", share(0));
        assert!(share(2) > 0.8, "NMHC: {}", share(2));
        assert!((0.02..0.08).contains(&share(10)), "T: {}", share(10));
        let nox = batches[0].numbers(5).expect("numbers");
        let above = nox.values.iter().flatten().filter(|value| *value > 1000.0).count();
        assert!((10..500).contains(&above), "NOx above 1000: {above}");
        for (field, name) in ["CO(GT)", "NOx(GT)", "T"].iter().zip([0, 5, 10]) {
            let values = &batches[0].numbers(name).expect("numbers").values;
            assert!(values.iter().flatten().all(|value| (-30.0..3000.0).contains(&value)), "{field}");
        }
    }

    #[test]
    fn faults_come_at_their_rates() {
        let options = "{\"records\": 4000, \"faults\": {\"bad_timestamp\": 0.1, \"not_a_number\": 0.05}}";
        let (batches, dead) = read(&mut *lane(options), 1000);
        assert!((300..500).contains(&dead.len()), "{}", dead.len());
        assert_eq!(batches.iter().map(Batch::rows).sum::<usize>() + dead.len(), 4000);
        let tested = batches.iter().flat_map(|batch| batch.numbers(10).expect("numbers").marks.to_vec());
        let tested = tested.filter(|mark| Mark(*mark).tests() == 1).count();
        assert!((100..300).contains(&tested), "{tested}");
    }
}
