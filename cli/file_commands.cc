#include "cli/file_commands.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/table.h"
#include "common/base/exit_codes.h"
#include "common/base/file.h"
#include "common/base/status_macros.h"
#include "common/spec/explain.h"
#include "common/spec/field_options.h"
#include "common/spec/job_file.h"
#include "common/spec/job_teachers.h"
#include "common/spec/recipes.h"
#include "common/spec/run_folders.h"
#include "common/spec/sweep_jobs.h"

namespace reflux {
namespace {

namespace fs = std::filesystem;

// Problems of a job file carry their own place: they are printed as they are.
int Problems(Terminal& terminal, const absl::Status& status) {
  terminal.err << status.message() << std::endl;
  return kExitFailed;
}

void PrintJob(Terminal& terminal, const std::string& path, const v1::JobSpec& spec) {
  if (terminal.json) {
    terminal.out << ToJson(spec);
  } else {
    terminal.out << "# " << path << " is valid. The resolved job:\n" << ResolvedYaml(spec);
  }
}

int PrintSweep(Terminal& terminal, const std::string& path, const JobFile& file) {
  nlohmann::json jobs = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows = {{"JOB", "VARIANT"}};
  for (const SweepJob& job : file.jobs) {
    rows.push_back({job.spec.name(), job.variant});
    if (terminal.json) {
      jobs.push_back({{"variant", job.variant}, {"job", nlohmann::json::parse(ToJson(job.spec))}});
    }
  }
  if (terminal.json) {
    terminal.out << nlohmann::json({{"sweep", file.name}, {"jobs", jobs}}).dump(2) << "\n";
  } else {
    terminal.out << path << " is valid: a sweep of " << file.jobs.size() << " jobs\n"
                 << TableText(rows) << "`--job NAME` prints one as a job file.\n";
  }
  return kExitDone;
}

absl::Status NoJob(const JobFile& file, const std::string& path, const std::string& job) {
  std::vector<std::string> names;
  for (const SweepJob& known : file.jobs) names.push_back(known.spec.name());
  const std::string nearest = NearestName(job, names);
  return absl::NotFoundError(
      absl::StrCat(path, ": no job `", job, "`",
                   nearest.empty() ? absl::StrCat("; there are: ", absl::StrJoin(names, ", "))
                                   : absl::StrCat(", did you mean `", nearest, "`?")));
}

}  // namespace

int Validate(Terminal& terminal, const JobFileFlags& flags, const std::string& job) {
  const absl::StatusOr<JobFile> file = LoadJobs(flags.file, flags.overrides);
  if (!file.ok()) return Problems(terminal, file.status());
  if (job.empty() && file->sweep) return PrintSweep(terminal, flags.file, *file);
  for (const SweepJob& candidate : file->jobs) {
    if (!job.empty() && candidate.spec.name() != job) continue;
    PrintJob(terminal, flags.file, candidate.spec);
    return kExitDone;
  }
  return Problems(terminal, NoJob(*file, flags.file, job));
}

int Explain(Terminal& terminal, const std::string& path, bool markdown) {
  const absl::StatusOr<std::string> text = markdown        ? ExplainMarkdown()
                                           : terminal.json ? ExplainJson(path)
                                                           : ExplainText(path);
  if (!text.ok()) return Fail(terminal, text.status());
  terminal.out << *text;
  return kExitDone;
}

int ListRecipes(Terminal& terminal) {
  if (terminal.json) {
    nlohmann::json rows = nlohmann::json::array();
    for (const Recipe& recipe : Recipes(".")) {
      rows.push_back({{"name", recipe.name}, {"path", recipe.path}, {"summary", recipe.summary}});
    }
    terminal.out << rows.dump() << "\n";
    return kExitDone;
  }
  std::vector<std::vector<std::string>> rows = {{"RECIPE", "WHAT"}};
  for (const Recipe& recipe : Recipes(".")) rows.push_back({recipe.name, recipe.summary});
  terminal.out
      << TableText(rows)
      << "\n`extends: recipes/NAME` in a job file; `reflux recipes show NAME` prints it.\n";
  return kExitDone;
}

int ShowRecipe(Terminal& terminal, const std::string& name) {
  const absl::StatusOr<std::string> path = FindRecipe(absl::StrCat("recipes/", name), ".");
  if (!path.ok()) return Fail(terminal, path.status());
  const absl::StatusOr<std::string> text = ReadFile(*path, kMaxJobFileBytes);
  if (!text.ok()) return Fail(terminal, text.status());
  terminal.out << *text;
  return kExitDone;
}

absl::StatusOr<std::string> SiblingProgram(const std::string& name) {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const std::string path = (self.parent_path() / name).string();
  if (access(path.c_str(), X_OK) != 0) {
    return absl::NotFoundError(
        absl::StrCat(path, " is not there: this command needs the build with LibTorch"));
  }
  return path;
}

absl::StatusOr<Execution> SiblingExecution(const std::string& name,
                                           std::vector<std::string> arguments) {
  REFLUX_ASSIGN_OR_RETURN(std::string program, SiblingProgram(name));
  return Execution{std::move(program), std::move(arguments)};
}

absl::StatusOr<Execution> PrepareRun(Terminal& terminal, const JobFileFlags& flags,
                                     const std::string& dir) {
  REFLUX_ASSIGN_OR_RETURN(v1::JobSpec spec, LoadJobFile(flags.file, flags.overrides));
  if (spec.run().students() > 1) {
    // The number of students divides the global batch, the job is the same.
    terminal.err << "run.students is " << spec.run().students()
                 << ": `reflux run` trains with one, on the whole global batch of "
                 << spec.train().global_batch() << " images (several: reflux submit)" << std::endl;
    spec.mutable_run()->set_students(1);
  }
  if (spec.run().has_teachers() && spec.run().teachers() == 0 && NeedsTeacher(spec.losses())) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.file,
        ": run.teachers is 0, and `reflux run` loads the teacher into its one process; use `reflux "
        "submit ",
        flags.file, "`, or add --set run.teachers=1"));
  }
  const fs::path folder = RunFolder(spec, dir);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return ErrnoStatus(error.value(), "cannot create", folder.string());
  const std::string job = (folder / "job.json").string();
  REFLUX_RETURN_IF_ERROR(WriteFileAtomically(job, ToJson(spec)));
  REFLUX_ASSIGN_OR_RETURN(std::string worker, SiblingProgram("reflux-worker"));
  return Execution{worker,
                   {"--job", job, "--dir", folder.string(), "--cache-dir",
                    RunCacheFolder(spec, dir), "--standalone"}};
}

int Execute(Terminal& terminal, const Execution& execution) {
  std::vector<char*> argv = {const_cast<char*>(execution.program.c_str())};
  for (const std::string& argument : execution.arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  terminal.out.flush();
  execv(execution.program.c_str(), argv.data());
  return Fail(terminal, ErrnoStatus(errno, "cannot run", execution.program));
}

}  // namespace reflux
