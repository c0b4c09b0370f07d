//! Which pipelines of a run write what others read.

use aqpipe_engine::config::Pipeline;

/// For each pipeline, those of the same run that write what it reads.
#[derive(Debug)]
pub(crate) struct Relations {
    writers: Vec<Vec<usize>>,
}

impl Relations {
    /// The relations of pipelines.
    ///
    /// # Errors
    /// Where pipelines wait for each other in a circle: none of them would ever end.
    pub(crate) fn of(pipelines: &[Pipeline]) -> Result<Relations, String> {
        let reads: Vec<Vec<String>> = pipelines.iter().map(|pipeline| pipeline.source.config.reads()).collect();
        let writes: Vec<Vec<String>> = pipelines
            .iter()
            .map(|pipeline| {
                let mut writes = pipeline.sink.config.writes();
                writes.extend(pipeline.dead_letter.iter().flat_map(|stage| stage.config.writes()));
                writes
            })
            .collect();
        let names: Vec<&str> = pipelines.iter().map(|pipeline| &*pipeline.name).collect();
        Self::between(&names, &reads, &writes)
    }

    fn between(names: &[&str], reads: &[Vec<String>], writes: &[Vec<String>]) -> Result<Relations, String> {
        let writers: Vec<Vec<usize>> = reads
            .iter()
            .map(|reads| (0..writes.len()).filter(|w| writes[*w].iter().any(|what| reads.contains(what))).collect())
            .collect();
        let relations = Relations { writers };
        // Takes away whoever waits for nobody, again and again; who is left waits in a circle.
        let mut left: Vec<usize> = (0..names.len()).collect();
        loop {
            let waiting: Vec<usize> = left
                .iter()
                .copied()
                .filter(|i| relations.writers[*i].iter().any(|writer| left.contains(writer)))
                .collect();
            if waiting.is_empty() {
                return Ok(relations);
            }
            if waiting.len() == left.len() {
                let circle = waiting.iter().map(|i| format!("`{}`", names[*i])).collect::<Vec<_>>().join(", ");
                return Err(format!("pipelines read what they write, in a circle: {circle}"));
            }
            left = waiting;
        }
    }

    /// The pipelines that write what this one reads.
    pub(crate) fn writers(&self, reader: usize) -> impl Iterator<Item = usize> {
        self.writers[reader].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| format!("kafka:{name}")).collect()
    }

    #[test]
    fn a_chain_is_a_chain() {
        let reads = [topics(&[]), topics(&["a"]), topics(&["b"])];
        let writes = [topics(&["a"]), topics(&["b"]), topics(&[])];
        let relations = Relations::between(&["p", "q", "r"], &reads, &writes).expect("no circle");
        assert_eq!(relations.writers(1).collect::<Vec<_>>(), [0]);
        assert_eq!(relations.writers(2).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_circle_is_refused_with_its_members() {
        let reads = [topics(&["b"]), topics(&["a"]), topics(&["a"])];
        let writes = [topics(&["a"]), topics(&["b"]), topics(&[])];
        let error = Relations::between(&["p", "q", "r"], &reads, &writes).expect_err("a circle");
        assert!(error.contains("`p`, `q`"), "{error}");
    }
}
