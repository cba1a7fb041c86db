// Which run of which host this is. Thread-safe.
#pragma once

#include <string>

namespace reflux {

// The kernel's own name of this boot (/proc/sys/kernel/random/boot_id): equal for all processes of
// a host, another one after every start. Empty where there is no such file.
std::string BootId();

}  // namespace reflux
