// reflux-data check: everything that is wrong with a data set, and what is in it.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "distill/data/data_check.h"

namespace reflux {

// What was found in one split.
struct CheckedSplit {
  DatasetOptions options;
  DataReport report;
  std::vector<std::string> classes;  // empty: the split could not be opened
};

// Registers `check`; its exit code is left in `*exit_code`: kExitFailed when something is wrong.
void AddCheckCommand(CLI::App& app, int* exit_code);

// For people, and for programs.
std::string FormatCheck(const std::vector<CheckedSplit>& splits);
std::string FormatCheckJson(const std::vector<CheckedSplit>& splits);

}  // namespace reflux
