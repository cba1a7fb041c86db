// Commands that ask a cache or a teacher. `endpoint` is "host:port" or "@FILE".
#pragma once

#include <string>

#include "cli/terminal.h"

namespace reflux {

int ListTargets(Terminal& terminal, const std::string& endpoint);
int CacheStats(Terminal& terminal, const std::string& endpoint);
// Reads every stored value; kExitFailed when some were corrupted.
int CacheVerify(Terminal& terminal, const std::string& endpoint);
int TeacherInfo(Terminal& terminal, const std::string& endpoint);

}  // namespace reflux
