#include "cli/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "cli/archive_commands.h"
#include "cli/cache_commands.h"
#include "cli/connection.h"
#include "cli/fetch_command.h"
#include "cli/file_commands.h"
#include "cli/find_servers.h"
#include "cli/job_commands.h"
#include "cli/target_commands.h"
#include "cli/watch.h"
#include "common/base/build_version.h"
#include "common/base/exit_codes.h"

namespace reflux {
namespace {

constexpr char kFooter[] = R"(
A first job, on one machine:
  reflux explain                    what can stand in a job file
  reflux validate job.yaml          every problem at once, and the resolved job
  reflux run job.yaml               train in this terminal; Ctrl-C is resumable
With an orchestrator (reflux-orchestrator):
  reflux submit job.yaml --watch    hand it over, and watch it
  reflux ps                         all jobs

Exit codes: 0 done, 1 failed, 2 bad command line, 4 stopped with Ctrl-C before the end (run and fill
go on when called again); 130 where Ctrl-C ends a command at once.)";

constexpr char kRunFooter[] = R"(
Ctrl-C stops it after the running step or in the middle of an evaluation; the same command then goes
on, to the same weights. The third Ctrl-C ends it at once.

Exit codes: 0 done, 1 failed, 2 bad command line, 4 stopped before the end, 130 ended at once.)";

struct Flags {
  std::string server, cache, teacher;
  std::string path, dir, job_id, job_of_sweep, recipe;
  JobFileFlags job;
  LogFlags logs;
  SetFlags sets;
  double to_gib = -1;
  FetchFlags fetch;
  ExportFlags archive;
  bool watch = false, markdown = false;
};

using Command = std::function<int()>;

// Adds the subcommands; each sets `command` when it is the one given.
class Parser {
 public:
  Parser(CLI::App& app, Terminal& terminal, std::shared_ptr<Cancellation> (*install_signals)())
      : app_(app), terminal_(terminal), install_signals_(install_signals) {
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string(BuildVersion()));
    AddFileCommands();
    AddRun();
    AddSubmit();
    AddJobCommands();
    AddLogs();
    AddTargetCommands();
    AddFetch();
    AddModelHelp();
    app.footer(kFooter);  // last: commands would inherit it
  }

  int Run() { return command_(); }

 private:
  CLI::App* Add(CLI::App& parent, const std::string& name, const std::string& help,
                Command command) {
    CLI::App* added = parent.add_subcommand(name, help);
    added->callback([this, command = std::move(command)] { command_ = command; });
    return added;
  }
  void AddJson(CLI::App* command) { command->add_flag("--json", terminal_.json, "Print JSON"); }
  void AddServer(CLI::App* command) {
    command->add_option("--server", flags_.server,
                        "Orchestrator: host:port, or @FILE that holds it (default: "
                        "$REFLUX_SERVER, else @~/.local/state/reflux/endpoints/orchestrator)");
  }
  void AddJobFile(CLI::App* command) {
    command->add_option("file", flags_.job.file, "Job file: YAML, or resolved JSON")->required();
    command
        ->add_option("--set", flags_.job.overrides,
                     "Override a field: PATH=VALUE, e.g. train.seed=3; may be repeated")
        ->type_name("PATH=VALUE")
        ->expected(1)
        ->take_all()
        ->allow_extra_args(false);
  }
  void AddJobId(CLI::App* command, std::string& id) {
    command->add_option("id", id, "Job, as `reflux ps` lists it")->required();
  }
  std::string server() const { return OrchestratorEndpoint(flags_.server); }
  // A command of a server, which without `flag` asks all of `kind` that the orchestrator runs.
  Command OnEach(const std::string& kind, const std::string& flag,
                 int (*command)(Terminal&, const std::string&)) {
    return [this, kind, &flag, command] {
      return OnServers(terminal_, {flag, server(), kind},
                       [&](const std::string& endpoint) { return command(terminal_, endpoint); });
    };
  }

  // A command that asks the cache of --cache, else the only one that the orchestrator runs.
  Command OnCache(std::function<int(const std::string&)> command) {
    return [this, command = std::move(command)] {
      return OnOneServer(terminal_, {flags_.cache, server(), "cache"}, command);
    };
  }
  void AddOneCache(CLI::App* command) {
    command->add_option("--cache", flags_.cache,
                        "Cache server: host:port, or @FILE (default: the one that the orchestrator "
                        "runs)");
    AddServer(command);
  }

  void AddFileCommands() {
    CLI::App* validate =
        Add(app_, "validate",
            "Check a job file or sweep: every problem at once, and the resolved job, or the names "
            "of the sweep's",
            [this] { return Validate(terminal_, flags_.job, flags_.job_of_sweep); });
    AddJobFile(validate);
    validate->add_option("--job", flags_.job_of_sweep,
                         "Of a sweep: print this job, as a file for `reflux run` and `submit`");
    AddJson(validate);
    CLI::App* explain = Add(app_, "explain", "Fields of a job file: type, default, unit, source",
                            [this] { return Explain(terminal_, flags_.path, flags_.markdown); });
    explain->add_option("path", flags_.path, "Block or field, e.g. losses.icsd; none: the blocks");
    explain->add_flag("--markdown", flags_.markdown, "Every field, as Markdown tables");
    AddJson(explain);
    AddRecipes();
  }

  // `recipes` alone lists them.
  void AddRecipes() {
    CLI::App* recipes =
        app_.add_subcommand("recipes", "Published settings that a job file can extend");
    recipes->callback([this, recipes] {
      if (recipes->get_subcommands().empty()) command_ = [this] { return ListRecipes(terminal_); };
    });
    AddJson(recipes);
    CLI::App* show = Add(*recipes, "show", "Print a recipe, to begin a job file with",
                         [this] { return ShowRecipe(terminal_, flags_.recipe); });
    show->add_option("name", flags_.recipe, "Recipe, as `reflux recipes` lists it")->required();
  }

  void AddRun() {
    CLI::App* run = Add(app_, "run",
                        "Train here, in the foreground, without orchestrator; a second run of the "
                        "same folder goes on where the first stopped",
                        [this] { return RunHere(); });
    AddJobFile(run);
    run->add_option("--dir", flags_.dir,
                    "Folder for checkpoints and metrics (default: runs/<job name>)");
    run->footer(kRunFooter);
  }

  void AddSubmit() {
    CLI::App* submit = Add(app_, "submit", "Hand a job to the orchestrator; prints its id", [this] {
      if (flags_.watch) Wait();
      return Submit(terminal_, server(), flags_.job, flags_.watch);
    });
    AddJobFile(submit);
    AddServer(submit);
    AddJson(submit);
    submit->add_flag("--watch", flags_.watch, "Then watch it to its end");
  }

  void AddJobCommands() {
    CLI::App* ps =
        Add(app_, "ps", "All jobs, newest first", [this] { return ListJobs(terminal_, server()); });
    CLI::App* watch =
        Add(app_, "watch", "Follow a job to its end; Ctrl-C leaves it running", [this] {
          Wait();
          return Watch(terminal_, server(), flags_.job_id);
        });
    CLI::App* describe =
        Add(app_, "describe", "Everything about one job: state, progress, processes, folder",
            [this] { return Describe(terminal_, server(), flags_.job_id); });
    CLI::App* cancel = Add(app_, "cancel", "Stop a job for good; its checkpoints stay",
                           [this] { return Cancel(terminal_, server(), flags_.job_id); });
    for (CLI::App* command : {ps, watch, describe, cancel}) {
      if (command != ps) AddJobId(command, flags_.job_id);
      AddServer(command);
      AddJson(command);
    }
  }

  void AddLogs() {
    CLI::App* logs = Add(app_, "logs", "The last lines of a process of a job", [this] {
      Wait();
      return Logs(terminal_, server(), flags_.logs);
    });
    AddJobId(logs, flags_.logs.job_id);
    logs->add_option("--role", flags_.logs.role,
                     "Process, as `reflux describe` lists it (default: worker/0)");
    logs->add_flag("--follow", flags_.logs.follow, "Go on until the job has ended");
    AddServer(logs);
    AddJson(logs);
  }

  void AddTargetCommands() {
    CLI::App* targets = app_.add_subcommand("targets", "Stored targets");
    CLI::App* cache = app_.add_subcommand("cache", "A cache server");
    CLI::App* teachers = app_.add_subcommand("teachers", "A teacher server");
    for (CLI::App* group : {targets, cache, teachers}) group->require_subcommand(1);
    CLI::App* ls = Add(*targets, "ls", "Target sets held, with entries, bytes and last use",
                       OnEach("cache", flags_.cache, &ListTargets));
    CLI::App* stats = Add(*cache, "stats", "Size, hits, misses and fills",
                          OnEach("cache", flags_.cache, &CacheStats));
    CLI::App* verify = Add(*cache, "verify", "Read every target and drop the corrupted",
                           OnEach("cache", flags_.cache, &CacheVerify));
    CLI::App* info = Add(*teachers, "info", "Network, digest, taps, images inferred",
                         OnEach("teacher", flags_.teacher, &TeacherInfo));
    // Run by reflux-planner (RunCommandLine).
    targets->add_subcommand("coverage", "How many of a job's or a sweep's targets are cached");
    targets->add_subcommand("why-miss", "Which fields keep a job's targets from being hits");
    CLI::App* rm = Add(*targets, "rm", "Remove a target set with all its entries",
                       OnCache([this](const std::string& cache) {
                         return RemoveTargets(terminal_, cache, flags_.sets);
                       }));
    rm->add_flag("--force", flags_.sets.force, "Also a set that is pinned or was just used");
    CLI::App* pin = Add(*targets, "pin", "Keep a target set from eviction for some time",
                        OnCache([this](const std::string& cache) {
                          return PinTargets(terminal_, cache, flags_.sets);
                        }));
    CLI::App* terms = pin->add_option_group("term")->require_option(1);
    terms->add_option("--for", flags_.sets.term, "How long from now: 24h, 90m, 7d");
    terms->add_flag("--release", flags_.sets.release, "No longer");
    for (CLI::App* command : {rm, pin}) {
      command
          ->add_option("set", flags_.sets.set,
                       "Beginning of the set's name: SET/TAP/CODEC as `reflux targets ls` lists it")
          ->required();
      command->add_flag("--all", flags_.sets.all, "Every set whose name begins so");
    }
    CLI::App* du = Add(*cache, "du", "Bytes by target set, live and on disk",
                       OnEach("cache", flags_.cache, &CacheDiskUsage));
    CLI::App* gc =
        Add(*cache, "gc", "Evict what nobody uses down to a size, and give dead space back",
            OnCache([this](const std::string& endpoint) {
              return CacheCollectGarbage(terminal_, endpoint, flags_.to_gib);
            }));
    gc->add_option("--to-gib", flags_.to_gib,
                   "GiB of targets to come down to; without it nothing is evicted")
        ->check(CLI::Range(0.0, 1e9));
    for (CLI::App* command : {rm, pin, du, gc}) AddJson(command);
    for (CLI::App* command : {rm, pin, gc}) AddOneCache(command);
    for (CLI::App* command : {ls, stats, verify, du}) {
      command->add_option("--cache", flags_.cache,
                          "Cache server: host:port, or @FILE (default: all that the orchestrator "
                          "runs)");
    }
    info->add_option("--teacher", flags_.teacher,
                     "Teacher server or cache: host:port, or @FILE (default: all that the "
                     "orchestrator runs)");
    for (CLI::App* command : {ls, stats, verify, du, info}) AddServer(command);
    for (CLI::App* command : {ls, stats, verify, info}) AddJson(command);
    AddArchives(*targets);
  }

  void AddArchives(CLI::App& targets) {
    CLI::App* out = Add(targets, "export", "Write a target set to one file, or for Python",
                        OnCache([this](const std::string& cache) {
                          Wait();
                          flags_.archive.cache = cache;
                          return ExportTargets(terminal_, flags_.archive);
                        }));
    out->add_option("set", flags_.archive.set,
                    "Target set, e.g. camvid/r101@9f3c, or of it one tap: camvid/r101@9f3c/logits")
        ->required();
    out->add_option("-o,--output", flags_.archive.output, "Target archive to write");
    out->add_option("--safetensors", flags_.archive.safetensors,
                    "Folder to write the targets to as safetensors files");
    out->add_option("--licence", flags_.archive.licence, "Note on their use, kept in the file");
    CLI::App* in = Add(targets, "import", "Take over a target archive; every target is verified",
                       OnCache([this](const std::string& cache) {
                         Wait();
                         return ImportTargets(terminal_, cache, flags_.path);
                       }));
    in->add_option("file", flags_.path, "Target archive")->required();
    for (CLI::App* command : {out, in}) {
      AddOneCache(command);
      AddJson(command);
    }
  }

  void AddFetch() {
    CLI::App* fetch =
        Add(app_, "fetch", "What a teacher says about an image, as a safetensors file",
            OnCache([this](const std::string& endpoint) {
              Wait();
              flags_.fetch.server = endpoint;
              return FetchTarget(terminal_, flags_.fetch);
            }));
    FetchFlags& flags = flags_.fetch;
    fetch->add_option("--cache", flags_.cache,
                      "Cache or teacher server: host:port, or @FILE (default: the cache that the "
                      "orchestrator runs)");
    AddServer(fetch);
    fetch->add_option("--set", flags.set,
                      "Target set, e.g. camvid/r101@9f3c (see: reflux targets ls); without it the "
                      "server's teacher is asked");
    fetch->add_option("--image", flags.image, "PNG or JPEG")->required();
    fetch->add_option("--view", flags.view,
                      "Part of the image, e.g. 720x960/360x480+12+40/flip: resized to 720x960 "
                      "(height x width), 360x480 from row 12 and column 40, mirrored; without it "
                      "the whole image as it is");
    fetch->add_option("--tap", flags.tap, "Map of the teacher; with its reduction: c4|max_pool:4")
        ->capture_default_str();
    fetch->add_option("--codec", flags.codec,
                      "How it is stored (default: as the set has it; fp32 where there is none)");
    fetch->add_option("-o,--output", flags.output, "File to write")->required();
    AddJson(fetch);
  }

  // Their arguments are those of reflux-model and reflux-data (RunCommandLine hands them over
  // before parsing).
  void AddModelHelp() {
    app_.add_subcommand("eval", "Evaluate a checkpoint (see: reflux eval --help)");
    app_.add_subcommand("data", "What is in a data set (see: reflux data check --help)");
    app_.add_subcommand("plan",
                        "Bytes, fill time, time a step, whether caching pays, of a job or a sweep "
                        "(see: reflux plan "
                        "--help)");
    app_.add_subcommand("fill",
                        "Compute what a job's or a sweep's cache lacks (see: reflux fill --help)");
    app_.add_subcommand("inspect", "What a checkpoint holds (see: reflux inspect --help)");
    app_.add_subcommand("export", "Write a checkpoint as ONNX (see: reflux export --help)");
    app_.add_subcommand("import", "Take over weights of PyTorch (see: reflux import --help)");
    app_.add_subcommand("models", "The networks there are (see: reflux models --help)");
    app_.add_subcommand("views", "What deriving maps costs (see: reflux views --help)");
  }

  void Wait() { terminal_.interrupted = install_signals_(); }

  int RunHere() {
    const absl::StatusOr<Execution> execution = PrepareRun(terminal_, flags_.job, flags_.dir);
    if (!execution.ok()) {
      terminal_.err << execution.status().message() << std::endl;
      return kExitFailed;
    }
    return Execute(terminal_, *execution);
  }

  CLI::App& app_;
  Terminal& terminal_;
  std::shared_ptr<Cancellation> (*const install_signals_)();
  Flags flags_;
  Command command_;
};

// Commands that are planned: whoever has read of them is told, and they are in no help.
bool IsPlanned(const std::vector<std::string>& arguments) {
  static const auto* const commands = new std::set<std::string>{
      "context", "doctor", "pause", "report", "resume", "retry", "teachers ls"};
  if (arguments.empty()) return false;
  return commands->count(arguments[0]) > 0 ||
         (arguments.size() > 1 && commands->count(arguments[0] + " " + arguments[1]) > 0);
}

int TellPlanned(Terminal& terminal, const std::vector<std::string>& arguments) {
  const bool group = arguments[0] == "teachers";
  terminal.err << "reflux " << arguments[0] << (group ? " " + arguments[1] : "")
               << ": not available in this version; what there is: reflux "
               << (group ? "teachers " : "") << "--help" << std::endl;
  return kExitUsage;
}

int RunProgram(Terminal& terminal, const std::string& name,
               const std::vector<std::string>& arguments) {
  const absl::StatusOr<Execution> execution = SiblingExecution(name, arguments);
  return execution.ok() ? Execute(terminal, *execution) : Fail(terminal, execution.status());
}

}  // namespace

int RunCommandLine(std::vector<std::string> arguments, Terminal& terminal,
                   std::shared_ptr<Cancellation> (*install_signals)()) {
  if (IsPlanned(arguments)) return TellPlanned(terminal, arguments);
  static const auto* const model_commands =
      new std::set<std::string>{"eval", "export", "import", "inspect", "models", "views"};
  if (!arguments.empty() && model_commands->count(arguments[0]) > 0) {
    return RunProgram(terminal, "reflux-model", arguments);
  }
  if (!arguments.empty() && arguments[0] == "data") {
    return RunProgram(terminal, "reflux-data", {arguments.begin() + 1, arguments.end()});
  }
  if (!arguments.empty() && (arguments[0] == "fill" || arguments[0] == "plan")) {
    return RunProgram(terminal, "reflux-planner", arguments);
  }
  // `reflux targets why-miss ...` is `reflux-planner why-miss ...`.
  if (arguments.size() >= 2 && arguments[0] == "targets" &&
      (arguments[1] == "coverage" || arguments[1] == "why-miss")) {
    return RunProgram(terminal, "reflux-planner", {arguments.begin() + 1, arguments.end()});
  }
  CLI::App app("Reflux trains small segmentation networks from large ones.", "reflux");
  Parser parser(app, terminal, install_signals);
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants them
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error, terminal.out, terminal.err) == 0 ? kExitDone : kExitUsage;
  }
  return parser.Run();
}

}  // namespace reflux
