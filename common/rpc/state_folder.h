// Where the orchestrator keeps its state and the client looks for it, unless they are told.
#pragma once

namespace reflux {

inline constexpr char kStateBelowHome[] = "/.local/state/reflux";

}  // namespace reflux
