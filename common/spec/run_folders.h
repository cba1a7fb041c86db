// Where a run without orchestrator keeps its things. Thread-safe, no I/O but the working folder's
// name.
#pragma once

#include <string>

#include "reflux/v1/config.pb.h"

namespace reflux {

// `dir`, or runs/<job name> in the working folder when that is empty; absolute.
std::string RunFolder(const v1::JobSpec& spec, const std::string& dir);
// The same for a name.
std::string RunFolder(const std::string& name, const std::string& dir);

// Of the cache in the run's process: runs/caches/<name> in the working folder when the job names
// one, which its runs then share, else cache/ in the run's folder. Absolute.
std::string RunCacheFolder(const v1::JobSpec& spec, const std::string& dir);

}  // namespace reflux
