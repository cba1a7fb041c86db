#include "cache/insertion_chunks.h"

namespace reflux {

void InsertionChunks::Remove(uint64_t insertion, const TargetSetId& set) {
  const auto chunk = chunks_.find(insertion / kChunk);
  if (chunk == chunks_.end()) return;
  const auto count = chunk->second.find(set);
  if (count == chunk->second.end()) return;
  if (--count->second == 0) chunk->second.erase(count);
  if (chunk->second.empty()) chunks_.erase(chunk);
}

std::optional<uint64_t> InsertionChunks::Find(
    uint64_t from, const std::function<bool(const TargetSetId&)>& chosen) const {
  for (auto chunk = chunks_.lower_bound((from + kChunk - 1) / kChunk); chunk != chunks_.end();
       ++chunk) {
    for (const auto& [set, count] : chunk->second) {
      if (chosen(set)) return chunk->first * kChunk;
    }
  }
  return std::nullopt;
}

}  // namespace reflux
