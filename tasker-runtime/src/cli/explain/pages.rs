//! The pages of the codes of engine, database and command line; those of templates are beside their parser.

use super::Page;

macro_rules! pages {
    ($($code:literal $title:literal $text:literal)+) => {
        pub(super) const PAGES: &[Page] = &[$(Page { code: $code, title: $title, text: $text }),+];
    };
}

pages! {
    "D001" "the database did not answer"
        "Another process holds the file, the disk failed for a moment, or the server is away. Nothing was changed, and the same command may succeed a moment \
         later. A statement waits 5 seconds for another process's short transaction; if that is not enough, something holds the file \
         for long: a backup, or a shell with an open transaction. With a server, the message says what it answered, or that it did not: a \
         worker that runs tries again by itself and loses nothing."
    "D002" "it is not known whether a transaction was committed"
        "The connection was lost while the database committed. Look at the task before you do the same again: it may have happened."
    "D003" "the database is full"
        "There is no space left on the disk. Nothing was changed, and nothing that was acknowledged is lost. Free some space; a running \
         worker goes on by itself."
    "D004" "the database is read-only"
        "A server is a standby, or set to refuse writes. Or the file, or its folder, cannot be written: SQLite also makes files beside it (`-wal`, `-shm`), and the worker a `.lock`."
    "D005" "the database is newer than this program"
        "A newer version of the program has brought the schema forward. Use that version: an older one would not know what the rows mean."
    "D006" "the database is older than this program needs"
        "The schema was not brought up to date. `db migrate` does it."
    "D007" "rows contradict each other"
        "The file does not hold what this program wrote: a defect of tasker, or of the disk, or something else changed it. Nothing was \
         changed. Keep a copy of the file, run `doctor`, and report what it says."
    "D008" "another process runs a worker on this database"
        "One process at a time runs the worker of a SQLite file. Stop the other one, or give this one a database of its own with --db. All \
         other commands work beside it. The lock goes with its process, however that ends."
    "D009" "the database cannot be opened"
        "The path is wrong, is not a SQLite database, or may not be read; or a server refuses user, password or database. The message says \
         which. --db, DATABASE_URL and \
         `database_url` in tasker.toml name another one, in this order."
    "E101" "an attempt no longer holds its claim"
        "The attempt was taken for lost, or its step is over. Its outcome was dropped, so that each step has one outcome."
    "E102" "there is no such task"
        "No task has this id. It may have been pruned: finished tasks are kept for 30 days, unless `retention_days` says otherwise. Or this \
         is another database: `db info` says which one is used."
    "E103" "a task of this id exists"
        "The same task was submitted before. Nothing was changed."
    "E104" "the task's state does not allow it"
        "A task that is over cannot be cancelled, and only a failed one can be resolved by hand. Only what is pending or running can be \
         paused, and only what is paused can be resumed. `task show` tells its state."
    "E105" "no step of the task has failed"
        "`task retry` tries failed steps again, and this task has none."
    "E106" "the step is not in the state that this needs"
        "Only a failed step can be retried, and only a step that failed, is ready or waits for its retry can be ended by hand. `task show` \
         tells the state of each."
    "E107" "this was done before"
        "The same action was sent twice, and carried out once."
    "E108" "a priority that cannot be"
        "A priority is from -100 to 100; the higher one is run first."
    "E109" "a result has to say what goes on"
        "Only a result can say which of the steps after a decision go on, and how the work of a batch is cut. Complete the step with one: \
         `{ \"activated_steps\": [\"..\"] }` of a decision, `{ \"batch_processing_outcome\": { .. } }` of a batchable step."
    "E110" "the task has no such step"
        "`task show` lists the steps of a task."
    "E112" "the task cannot be rerun from this step"
        "A rerun keeps what comes neither at nor after the step. A step that a decision did not choose, or for which no batches were made, \
         would not run then: rerun from the step that decides it."
    "E111" "the same request was made before"
        "A request is known by its idempotency key, or, where the template is `identity_strategy: strict`, by its context. One that is the same made \
         the task that the message names, and that is still there: it is forgotten when it is pruned. Leave --if-exists out to be given that task."
    "E201" "there is no such template"
        "No template of this name is in this namespace. The templates of a program are stored when `run` or `dev` starts; `template list` \
         shows them all, and `check` says which ones cannot be used."
    "E202" "the template has no such version"
        "The template is there, in other versions. Leave --version out to take the newest."
    "E203" "a handler that this program does not have"
        "A step names a handler that is not in this program. Write it with #[step_handler], or correct the name. A handler in a library crate \
         is linked only if the program mentions that crate: add `use that_crate as _;` to main.rs. `handler list` shows what there is."
    "E204" "a context that the template does not take"
        "What a task is submitted with is a JSON object of at most 1 MiB and 64 levels, without NUL characters, that has the keys that \
         the template requires and fits its `input_schema`. The message names each place that does not."
    "E205" "a request that cannot be"
        "A label is longer than 255 bytes or holds a NUL character, or a number is out of range. The message says which."
    "E206" "a handler that was guessed"
        "The template names a Rust path that nothing is known of, and the handler that has the name of the step runs it. Write the handler's \
         name into `callable`, or give the handler the path as an alias."
    "E207" "the engine was stopped"
        "The process was about to end. What was acknowledged is safe."
    "E208" "a result that is not there when its reader runs"
        "A handler takes the result of a step with #[dependency], and in this template that step does not come before the handler's own, or \
         is not there under this name. Any step before will do, however far. A handler that can do without takes an `Option`."
    "E209" "a route to a step that does not come after its decision"
        "A variant of the enum that a decision's handler routes to names a step that this template does not have, or that does not come after \
         the decision. Choosing it would fail the decision with the code BAD_DECISION. Correct the name in #[route(..)], or let the step \
         depend on the decision or on a step after it."
    "E210" "a branch that is never chosen"
        "A step depends on a decision, but no variant of the enum that its handler routes to names it or a step behind it: it is skipped \
         in every task. Name it in a variant, or let it depend on another step."
    "E211" "a route that decides nothing"
        "A handler returns a `Route`, but the step is not of `type: decision`: what it names is not looked at, and all steps after it go on."
    "E212" "an action by hand without a reason"
        "What closes a task or a step without its handler is told from what a handler did by its record alone: say why with --reason."
    "E213" "a result that the step cannot have"
        "A result is JSON of at most 1 MiB and 64 levels, without NUL characters; that of a decision names the steps that go on under \
         `activated_steps`, and that of a step with a `result_schema` fits it; without one, and with the feature `schemas`, what the type of its handler says. What is given by hand is held against the same as what a handler returns."
    "E214" "a schema that cannot be used"
        "`input_schema` or `result_schema` of a template is no JSON Schema, refers to something outside itself, or has a pattern that cannot be \
         matched in linear time. `check` shows the place in the file."
    "E216" "a publisher that is not in this program"
        "The template names a `publisher` that is not linked in: register it with `register_publisher!` or `app().publisher(..)`, or leave the \
         key out, and the step's result is the payload."
    "E217" "subscribers or publishers that cannot start"
        "Two subscribers or publishers have the same name, or one takes state that the application does not have. Nothing was started."
    "E218" "a `result_schema` that its handler does not keep to"
        "The template declares of a result what no result of the handler's type can be: another type of value, or a key that the handler does not \
         give. Every attempt would fail with BAD_RESULT. Put the template's schema right, or the type; `handler schema NAME` prints what that says."
    "E300" "the system refused"
        "The operating system did not give what the program needs: threads, or the current folder."
    "E301" "this program cannot start"
        "Templates that cannot be used, handlers that are missing or have the same name, or state that handlers take and the application does \
         not have. The list is complete: put all of it right, then start again. `check` shows the same at any time."
    "E302" "a setting that cannot be"
        "tasker.toml or the environment sets something that does not exist or is out of range. The keys of tasker.toml are database_url, \
         templates, slots, drain_seconds, cancel_grace_seconds, retention_days (0 keeps tasks for ever), durability (full or relaxed), lease_seconds and wake_up (hybrid, event_driven_only or polling_only) on a server, env (which of their `environments` templates are read for), and log; \
         each but database_url is also an environment variable, such as TASKER_SLOTS. The environment goes over the file, and the \
         command line over both."
    "E303" "a database URL that cannot be"
        "Write `sqlite://tasker.db`, `sqlite:///var/lib/app/tasker.db`, or a plain path. A relative path in tasker.toml starts at its folder, \
         any other one at the current folder. For many workers on many machines: `postgres://USER:PASSWORD@HOST:5432/DATABASE`; \
         `?sslmode=verify-full` and the other parameters of PostgreSQL's own clients are understood, and `?pooler=true` says that a \
         transaction pooler such as PgBouncer is in between."
    "E304" "this build has no PostgreSQL store"
        "This program was built without the feature `postgres`: it keeps its tasks in an embedded SQLite file."
    "E305" "an id that several tasks share"
        "The digits that were given are the beginning of several ids. Tasks that are submitted at the same time have ids that begin alike: give \
         more digits, with or without hyphens."
    "E306" "there is no database yet"
        "Nothing was run here so far. `dev` and `run` make the database; `db migrate` makes an empty one. If there should be one, this is \
         another folder: the database is beside the nearest tasker.toml, else in the current folder."
    "E307" "the input is not JSON"
        "--input takes JSON, `@FILE` for a file of it, or `-` for standard input. In a shell, put JSON into single quotes."
    "E308" "a file that cannot be read"
        "The file does not exist or may not be read. The message says which and why."
    "E309" "a template that several namespaces have"
        "Say which one is meant with --namespace."
    "E310" "the task has no such step"
        "Steps are named as in the task's template; `task show` lists them."
    "E311" "this program has no such handler"
        "`handler list` shows the handlers that are linked into it. A handler in a library crate is linked only if the program \
         mentions that crate: `use that_crate as _;`."
    "E312" "there is no such code"
        "`explain` alone lists all codes."
    "E313" "not the id of a task"
        "An id is a UUID, or any number of its first digits that tells it apart, with or without hyphens. `@last` is the task that was \
         accepted last, `@last:failed` the last one that failed; any state may stand there."
    "E314" "templates have errors"
        "The findings say where and what. Nothing in a template is read and ignored."
    "E315" "the folder is not empty"
        "`new` writes into an empty or a missing folder only, so that it never overwrites anything."
    "E316" "output that cannot be written"
        "The disk is full, or the file may not be written."
    "E317" "something is wrong"
        "`doctor` found something that should not be. Each finding says what to do."
    "E318" "this program has no demo"
        "The stock program has one; an application gets one with `.demo(..)`."
    "E319" "nothing to depend on"
        "A new project needs tasker's source: give its folder with --path."
    "E320" "the task failed"
        "A step failed for good: its handler said that another try makes no sense, or it was tried as often as its policy allows. When the \
         cause is put right, `task retry` tries the failed steps again; what succeeded is not run again."
    "E321" "the task was cancelled"
        "Somebody stopped it: `task show` tells when, and the record who and why."
    "E322" "the wait was over before the task"
        "The task goes on; only the wait was given up."
    "E323" "interrupted"
        "A signal ended the command. The task is safe in the database: it goes on with the worker that runs it, or with the next one."
    "E324" "a command line that means nothing"
        "An argument is unknown, missing, or not what its place takes. The message says which, and how the command is written; `--help` \
         after any command says what can be typed."
    "E325" "nobody can be asked"
        "What is done to all tasks at once, and what cannot be taken back, is confirmed by a person at a terminal. Where there is none, \
         look first at what would be touched (--dry-run, `event subscribers`), and say --yes."
    "E326" "some tasks were left as they are"
        "Each task is acted on in its own right. One whose state has changed meanwhile, or does not allow it, refuses; the others are done. \
         The message says how many, and why."
    "E327" "no dead letter"
        "Only a task that has failed has failures to show. `task show` tells how it stands."
    "E328" "there is no such subscriber"
        "`event subscribers` lists those that the database knows. A program makes its subscribers known when its worker starts."
    "E329" "a worker gives this subscriber its events"
        "A program that has the subscriber runs: it is not gone. Stop the program, or start one without it; it is let go when the lease of \
         its worker has ended. A subscriber that was forgotten and comes back is given what is stored from then on."
}
