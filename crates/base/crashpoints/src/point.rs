//! The table of points.

/// Declares the points once: the enum, its list, and what each is called.
macro_rules! points {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// A moment between two steps that a crash can separate.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $($(#[$doc])+ $name,)+
        }

        impl Point {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// What it is called in the folder: `PART.WHAT_IS_DONE`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

points! {
    // Every write of control.
    /// A write is complete but for its commit.
    StoreCommitting = "store.committing",
    /// A write is on the disk; nobody was told.
    StoreCommitted = "store.committed",

    // A push, in the order of its steps.
    /// The client's pack begins to come.
    PushAccepted = "push.accepted",
    /// git has checked and indexed the pack; its hook spoke.
    PushIndexed = "push.indexed",
    /// The pushed tree is a blob.
    PushSourceKept = "push.source_kept",
    /// What the client sent is kept under the name of a build that is to come.
    PushKept = "push.kept",
    /// git's hook was told the verdict.
    PushAnswered = "push.answered",
    /// git moved the branch.
    PushEnded = "push.ended",

    // The build's job.
    /// A pending build and its job are recorded.
    BuildRecorded = "build.recorded",
    /// The job begins.
    BuildBegun = "build.begun",
    /// The build's instance runs.
    BuildStarted = "build.started",
    /// It ended and is removed.
    BuildCompiled = "build.compiled",
    /// The blobs of its layers are whole.
    BuildSlugWritten = "build.slug_written",
    /// The layers are recorded.
    BuildLayersRecorded = "build.layers_recorded",
    /// The build is recorded as succeeded.
    BuildSucceeded = "build.succeeded",

    // Its release.
    /// The release is recorded.
    ReleaseRecorded = "release.recorded",
    /// The release phase runs.
    ReleasePhaseStarted = "release.phase_started",
    /// The release phase's end is recorded.
    ReleasePhaseEnded = "release.phase_ended",

    // Its dynos.
    /// New dynos are recorded.
    DynoRecorded = "dyno.recorded",
    /// An instance of a dyno runs.
    DynoStarted = "dyno.started",
    /// A dyno is recorded as up.
    DynoUp = "dyno.up",
    /// A dyno is recorded as stopping.
    DynoStopping = "dyno.stopping",
    /// No router leads to it any more.
    DynoDeparted = "dyno.departed",
    /// It was sent SIGTERM.
    DynoTerminated = "dyno.terminated",
    /// It ended, and its row is gone.
    DynoForgotten = "dyno.forgotten",

    // The routes.
    /// A version of the routes is taken, and not published yet.
    RoutesNumbered = "routes.numbered",
    /// A router acknowledged a table.
    RoutesAcknowledged = "routes.acknowledged",
    /// The router's copy of a table is on the disk.
    RouterKept = "router.kept",
    /// The router serves by a table that it has not acknowledged yet.
    RouterSwapped = "router.swapped",

    // What is no longer needed.
    /// Rows went; their files are still there.
    RetentionRowsGone = "retention.rows_gone",

    // The engine: repositories and images.
    /// git ended well; nobody was told.
    EngineGitEnded = "engine.git_ended",
    /// An image is made, and not in its place yet.
    EngineImageMade = "engine.image_made",
    /// An image is in its place.
    EngineImagePublished = "engine.image_published",

    // The engine: an instance, in the order of its steps.
    /// A shim waits for its job.
    EngineShimSpawned = "engine.shim_spawned",
    /// The record of an instance is written.
    EngineRecorded = "engine.recorded",
    /// Its cgroup and its writable layer are made.
    EngineDiskMade = "engine.disk_made",
    /// Its layers are mounted.
    EngineLayersMounted = "engine.layers_mounted",
    /// Its network is attached.
    EngineNetworkAttached = "engine.network_attached",
    /// Its program runs; nobody was told.
    EngineRunning = "engine.running",
    /// Its end was seen; nobody was told.
    EngineExited = "engine.exited",
    /// It is removed but for its network and its files.
    EngineUnrecorded = "engine.unrecorded",
    /// It is removed but for its files.
    EngineReleased = "engine.released",

    // The supervisor's way up.
    /// Folders and users are there; no role runs.
    SupervisorPrepared = "supervisor.prepared",
    /// The engine is up.
    SupervisorEngineUp = "supervisor.engine_up",
    /// Control is up.
    SupervisorControlUp = "supervisor.control_up",
    /// The router serves; nobody was told.
    SupervisorRouterUp = "supervisor.router_up",

    // An upgrade, in the order of its steps.
    /// Engine and control are the newer program's; the supervisor is not.
    UpgradeReplaced = "upgrade.replaced",
    /// A guard watches; the newer program is about to be executed.
    UpgradeGuarded = "upgrade.guarded",
    /// The newer program runs, and has taken nothing over.
    UpgradeBegun = "upgrade.begun",
    /// It keeps engine and control.
    UpgradeAdopted = "upgrade.adopted",
    /// Its router serves; the guard was not told.
    UpgradeRerouted = "upgrade.rerouted",
}
