//! What a task's container is made of: from `TaskTemplate.ContainerSpec` to a template.

use super::fields::{Fields, Remarks};
use super::spec::own_labels;
use crate::api::{
    CommandLine, Duration, Environment, FileReference, Healthcheck, Mount, MountKind, Template,
};

/// What `docker` gives a secret or config of which nothing is said.
const DEFAULT_MODE: u64 = 0o444;

/// Reads the container; what stands elsewhere in the spec is filled in by the caller.
pub(super) fn read(mut spec: Fields, remarks: &mut Remarks) -> Template {
    let labels_path = spec.path("Labels");
    let template = Template {
        image: spec.text("Image").unwrap_or_default(),
        entrypoint: words(spec.texts("Command")),
        command: words(spec.texts("Args")),
        environment: environment(&mut spec, remarks),
        networks: Vec::new(),
        secrets: files(&mut spec, "Secrets", "SecretName", remarks),
        configs: files(&mut spec, "Configs", "ConfigName", remarks),
        volumes: mounts(&mut spec, remarks),
        healthcheck: healthcheck(spec.part("Healthcheck"), remarks),
        stop_grace_period: duration(&mut spec, "StopGracePeriod", remarks),
        stop_signal: spec.text("StopSignal"),
        user: spec.text("User"),
        working_dir: spec.text("Dir"),
        hostname: spec.text("Hostname"),
        // The service's own labels tell of the stack.
        labels: own_labels(spec.map("Labels"), &labels_path, &mut Remarks::new("")),
        dns: dns(spec.part("DNSConfig"), remarks),
        extra_hosts: hosts(&spec.texts("Hosts")),
        cap_add: spec.texts("CapabilityAdd"),
        cap_drop: spec.texts("CapabilityDrop"),
        sysctls: spec.map("Sysctls"),
        read_only: spec.take("ReadOnly").as_bool(),
        init: spec.take("Init").as_bool(),
        logging: None,
        deploy: None,
    };
    isolation(&mut spec, remarks);
    spec.finish(remarks);
    template
}

fn words(words: Vec<String>) -> Option<CommandLine> {
    (!words.is_empty()).then_some(CommandLine(words))
}

fn environment(spec: &mut Fields, remarks: &mut Remarks) -> Environment {
    let path = spec.path("Env");
    let mut variables = Environment::default();
    for line in spec.texts("Env") {
        match line.split_once('=') {
            Some((name, value)) => {
                variables.0.insert(name.to_owned(), value.to_owned());
            }
            None => remarks.lost(
                &path,
                format!("`{line}` without a value takes away a variable of the image, which a template cannot"),
                format!("write `{line}: \"\"` if an empty one does as well"),
            ),
        }
    }
    variables
}

fn files(
    spec: &mut Fields,
    list: &str,
    name_field: &str,
    remarks: &mut Remarks,
) -> Vec<FileReference> {
    let mut references = Vec::new();
    for mut reference in spec.parts(list) {
        // The id belongs to the name.
        reference.take("SecretID");
        reference.take("ConfigID");
        let source = reference.text(name_field).unwrap_or_default();
        let mut file = reference.part("File");
        let target = file.text("Name");
        let unless_root = |id: Option<String>| id.filter(|id| id != "0");
        let read = FileReference {
            target: target.clone().filter(|target| *target != source),
            uid: unless_root(file.text("UID")),
            gid: unless_root(file.text("GID")),
            mode: file
                .take("Mode")
                .as_u64()
                .filter(|mode| *mode != DEFAULT_MODE)
                .and_then(|mode| u32::try_from(mode).ok()),
            source,
        };
        file.finish(remarks);
        let runtime = !reference.take("Runtime").is_null() || target.is_none();
        if runtime {
            remarks.lost(
                &reference.path(name_field),
                format!(
                    "`{}` is for the engine (a credential spec), and no file in the container",
                    read.source
                ),
                "a template has no credential spec",
            );
        } else {
            references.push(read);
        }
        reference.finish(remarks);
    }
    references
}

fn mounts(spec: &mut Fields, remarks: &mut Remarks) -> Vec<Mount> {
    let mut mounts = Vec::new();
    for mut mount in spec.parts("Mounts") {
        let kind = match mount.text("Type").as_deref() {
            Some("bind") => Some(MountKind::Bind),
            Some("volume") => Some(MountKind::Volume),
            Some("tmpfs") => Some(MountKind::Tmpfs),
            Some(_) | None => None,
        };
        let source = mount.text("Source");
        let target = mount.text("Target").unwrap_or_default();
        let read_only = mount.take("ReadOnly").as_bool().unwrap_or(false);
        // Docker's default; it means nothing to mounts that are no binds.
        if mount
            .text("Consistency")
            .is_some_and(|text| text != "default")
        {
            remarks.lost(
                &mount.path("Consistency"),
                "a template has no field for it",
                "it means something on a Mac only",
            );
        }
        let mut volume = mount.part("VolumeOptions");
        // Labels of the stack that a volume gets when it is made; the volume is there already.
        volume.take("Labels");
        volume.finish(remarks);
        mounts.extend(mount_of(kind, source, target, read_only, &mount, remarks));
        mount.finish(remarks);
    }
    mounts
}

fn mount_of(
    kind: Option<MountKind>,
    source: Option<String>,
    target: String,
    read_only: bool,
    mount: &Fields,
    remarks: &mut Remarks,
) -> Option<Mount> {
    let problem = match (kind, &source) {
        (Some(MountKind::Tmpfs), _) | (Some(_), Some(_)) => {
            return Some(Mount {
                kind: kind?,
                source,
                target,
                read_only,
            });
        }
        (Some(MountKind::Bind | MountKind::Volume), None) => {
            format!("each task gets a volume without a name at {target}")
        }
        (None, _) => format!("what is mounted at {target} is of a type that a template has not"),
    };
    remarks.lost(
        &mount.path("Type"),
        problem,
        "name a volume in `volumes`, or mount memory by `type: tmpfs`",
    );
    None
}

fn healthcheck(mut spec: Fields, remarks: &mut Remarks) -> Option<Healthcheck> {
    let check = Healthcheck {
        test: spec.texts("Test"),
        interval: duration(&mut spec, "Interval", remarks),
        timeout: duration(&mut spec, "Timeout", remarks),
        retries: spec
            .number("Retries")
            .and_then(|number| u32::try_from(number).ok()),
        start_period: duration(&mut spec, "StartPeriod", remarks),
    };
    if spec.number("StartInterval").is_some() {
        remarks.lost(
            &spec.path("StartInterval"),
            "a template has no interval of its own for the start",
            "a shorter `healthcheck.interval` serves the start as well",
        );
    }
    spec.finish(remarks);
    let nothing = Healthcheck {
        test: Vec::new(),
        interval: None,
        timeout: None,
        retries: None,
        start_period: None,
    };
    (check != nothing).then_some(check)
}

fn dns(mut config: Fields, remarks: &mut Remarks) -> Vec<String> {
    let servers = config.texts("Nameservers");
    config.finish(remarks);
    servers
}

/// The engine writes `address name…`, as hosts(5) does; Compose one `name:address` for each name.
fn hosts(lines: &[String]) -> Vec<String> {
    let pairs = lines.iter().flat_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().unwrap_or_default();
        words.map(move |name| format!("{name}:{address}"))
    });
    pairs.collect()
}

/// What Linux has only one of.
fn isolation(spec: &mut Fields, remarks: &mut Remarks) {
    if spec
        .text("Isolation")
        .is_some_and(|isolation| isolation != "default")
    {
        remarks.lost(
            &spec.path("Isolation"),
            "a template does not choose how Windows containers are isolated",
            "set it for the engines",
        );
    }
}

/// A length of time that the engine counts in nanoseconds; 0 is its own default.
pub(super) fn duration(spec: &mut Fields, name: &str, remarks: &mut Remarks) -> Option<Duration> {
    let nanoseconds = spec.number(name)?;
    let duration = Duration::from_millis(nanoseconds.div_ceil(1_000_000));
    if nanoseconds % 1_000_000 != 0 {
        remarks.replaced(
            &spec.path(name),
            format!("{nanoseconds} ns is not a whole number of milliseconds"),
            format!("it became {duration}"),
        );
    }
    Some(duration)
}
