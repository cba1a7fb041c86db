// What this process has cost. Thread-safe.
#pragma once

namespace reflux {

// Processor time of all threads of this process, in user and in kernel mode, since it began.
double OwnCpuSeconds();

}  // namespace reflux
