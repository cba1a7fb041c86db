// Where clients' notes lie among a store's small facts. Thread-safe.
#pragma once

#include <cstddef>
#include <string>

namespace reflux {

inline constexpr size_t kMaxNoteName = 128, kMaxNoteBytes = 64 << 10;

// Under a prefix of their own, so that no note takes the place of the store's own facts.
inline std::string NoteMetaName(const std::string& name) { return "note/" + name; }

}  // namespace reflux
