// What the programs of this folder share: their flags, messages and exit codes, and where the
// result goes. Torch-free.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "absl/status/statusor.h"

namespace reflux {

struct BenchResult {
  std::string text;  // for people: what was measured how, and the table
  std::string json;  // for `--json FILE`
};

class BenchProgram {
 public:
  // Takes the log; adds --json and --version.
  BenchProgram(const std::string& name, const std::string& description);

  CLI::App& app() { return app_; }

  // Parses the command line, measures, prints and writes. Returns the exit code: InvalidArgument
  // is a bad command line.
  int Run(int argc, char** argv, const std::function<absl::StatusOr<BenchResult>()>& measure);

 private:
  int Fail(const absl::Status& status) const;

  const std::string name_;
  CLI::App app_;
  std::string json_;
};

}  // namespace reflux
