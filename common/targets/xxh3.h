// XXH3 with the widest vectors that the processor has.
#pragma once

#define XXH_STATIC_LINKING_ONLY  // the state of a running hash
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
