// `reflux targets export` and `reflux targets import`: target sets as files.
#pragma once

#include <string>

#include "cli/terminal.h"

namespace reflux {

struct ExportFlags {
  std::string cache;  // "host:port" or "@FILE"
  std::string set;    // as FindSets takes it
  std::string licence;
  std::string output;       // target archive; may be empty when `safetensors` is given
  std::string safetensors;  // folder for the same targets as shards; created if missing
};

// Everything is verified on its way: nothing is written under its name before all of it is.
int ExportTargets(Terminal& terminal, const ExportFlags& flags);

// The server verifies every target (docs/target_archive.md). May be repeated.
int ImportTargets(Terminal& terminal, const std::string& cache, const std::string& path);

}  // namespace reflux
