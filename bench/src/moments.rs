//! Lines of the platform's log under the target `timing`: what happened when.

use std::time::Duration;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// What, with the kind of instance or the folder it is about.
    pub step: String,
    /// The time of day, in UTC.
    pub at: Duration,
}

/// The moments of a log, in the order of their lines.
pub fn moments(log: &str) -> Vec<Moment> {
    log.lines().filter_map(moment).collect()
}

/// `2030-01-31T12:34:56.789012Z DEBUG timing: step="…" kind=Build`
fn moment(line: &str) -> Option<Moment> {
    let (head, fields) = line.split_once(" timing: ")?;
    let step = quoted(fields, "step=")?;
    let about = fields.split(' ').find_map(|field| field.strip_prefix("kind="));
    let about = about.or_else(|| quoted(fields, "prefix="));
    let step = about.map_or_else(|| step.to_owned(), |about| format!("{step} ({about})"));
    Some(Moment { step, at: time_of_day(head.split(' ').next()?)? })
}

fn quoted<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = fields.split_once(name)?;
    rest.strip_prefix('"')?.split('"').next()
}

fn time_of_day(time: &str) -> Option<Duration> {
    let (_, time) = time.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.split(':');
    let (hours, minutes) = (parts.next()?.parse::<u64>().ok()?, parts.next()?.parse::<u64>().ok()?);
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(Duration::from_secs(hours * 3600 + minutes * 60) + Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_moment_if_it_is_about_time() {
        let log = "2030-01-31T01:00:02.500000Z DEBUG timing: step=\"files prepared\" kind=Build\n\
                   2030-01-31T01:00:02.500000Z  INFO router: a step=\"x\"\n\
                   2030-01-31T01:01:00.250000Z DEBUG timing: app.name=a step=\"verdict\"\n";
        let expected = [("files prepared (Build)", 3_602_500), ("verdict", 3_660_250)];
        let expected = expected.map(|(step, at)| Moment { step: step.to_owned(), at: Duration::from_millis(at) });
        assert_eq!(moments(log), expected);
    }
}
