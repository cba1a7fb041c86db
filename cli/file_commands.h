// Commands that need no server: validate, explain, recipes, and those that run a sibling program.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/terminal.h"

namespace reflux {

struct JobFileFlags {
  std::string file;
  std::vector<std::string> overrides;  // --set
};

// Prints every problem, or the resolved job (YAML; JSON with --json): of a sweep the jobs by name,
// or the one that `job` names.
int Validate(Terminal& terminal, const JobFileFlags& flags, const std::string& job = "");

// The fields of a block. With `markdown` every field, as docs/job_file.md has it.
int Explain(Terminal& terminal, const std::string& path, bool markdown);

// The recipes that a job file in this folder can extend; JSON with --json.
int ListRecipes(Terminal& terminal);

// A recipe's text, to begin a job file with.
int ShowRecipe(Terminal& terminal, const std::string& name);

// A program to run in place of this one.
struct Execution {
  std::string program;  // absolute path
  std::vector<std::string> arguments;
};

// `reflux run`: writes DIR/job.json and names the worker. An empty `dir` means runs/<job name> in
// the working folder. A job for several students runs with one, and a line says so.
// InvalidArgument for a bad file, and where the job wants no teacher process but needs a teacher.
absl::StatusOr<Execution> PrepareRun(Terminal& terminal, const JobFileFlags& flags,
                                     const std::string& dir);

// A program beside this one. NotFound says that it is not built.
absl::StatusOr<std::string> SiblingProgram(const std::string& name);

// That program with these arguments.
absl::StatusOr<Execution> SiblingExecution(const std::string& name,
                                           std::vector<std::string> arguments);

// Replaces this process. Returns only on failure.
int Execute(Terminal& terminal, const Execution& execution);

}  // namespace reflux
