#include "cache/rados/rados_index.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace reflux {
namespace {

constexpr size_t kPage = 1000;
// Each failed try means that another server's change succeeded.
constexpr int kMaxTries = 100;

std::string ValueOf(const RadosNamespace::Map& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? std::string() : found->second;
}

}  // namespace

absl::StatusOr<RadosEntry> RadosIndex::Find(const TargetKey& key) {
  const std::string name = HeadName(key);
  REFLUX_ASSIGN_OR_RETURN(const Map values, control_.ReadMap({ShardName(ShardOf(key)), {name}}));
  if (values.empty()) return absl::NotFoundError("target not stored");
  return DecodeRadosEntry(values.begin()->second);
}

std::string RadosIndex::KnownCount(int shard, const TargetSetId& set) const {
  MutexLock lock(mutex_);
  const auto found = counts_[shard].find(set);
  return found == counts_[shard].end() ? std::string() : EncodeRadosCount(found->second);
}

void RadosIndex::Learn(int shard, const TargetSetId& set, const RadosCount& count) {
  MutexLock lock(mutex_);
  RadosCount& known = counts_[shard][set];
  if (count.revision <= known.revision) return;  // a newer one is known
  usage_.Adjust(set, static_cast<int64_t>(count.entries - known.entries),
                static_cast<int64_t>(count.bytes - known.bytes));
  known = count;
}

absl::Status RadosIndex::LearnFrom(int shard, const Map& values) {
  for (const auto& [name, value] : values) {
    const absl::StatusOr<TargetSetId> set = ParseCountName(name);
    if (!set.ok()) continue;
    REFLUX_ASSIGN_OR_RETURN(const RadosCount count, DecodeRadosCount(value));
    Learn(shard, *set, count);
  }
  return absl::OkStatus();
}

absl::Status RadosIndex::TryChange(const TargetKey& key, const std::string& before,
                                   const std::string& after, const RadosEntry& entry,
                                   const std::string& known_count) {
  REFLUX_ASSIGN_OR_RETURN(RadosCount count, DecodeRadosCount(known_count));
  const bool added = before.empty();
  ++count.revision;
  count.entries += added ? 1 : -1;
  count.bytes += added ? entry.size : -entry.size;
  const int shard = ShardOf(key);
  RadosNamespace::MapChange change;
  change.expected = {{HeadName(key), before}, {CountName(entry.set), known_count}};
  change.set = {{CountName(entry.set), EncodeRadosCount(count)}};
  if (added) {
    change.set.emplace_back(HeadName(key), after);
  } else {
    change.erase = {HeadName(key)};
  }
  REFLUX_RETURN_IF_ERROR(control_.ChangeMap(ShardName(shard), change));
  Learn(shard, entry.set, count);
  return absl::OkStatus();
}

absl::StatusOr<bool> RadosIndex::Insert(const TargetKey& key, const RadosEntry& entry) {
  const int shard = ShardOf(key);
  const std::string name = HeadName(key), count_name = CountName(entry.set);
  std::string known_count = KnownCount(shard, entry.set);
  for (int i = 0; i < kMaxTries; ++i) {
    const absl::Status status = TryChange(key, "", EncodeRadosEntry(entry), entry, known_count);
    if (status.ok()) return true;
    if (!absl::IsAborted(status)) return status;
    REFLUX_ASSIGN_OR_RETURN(const Map values,
                            control_.ReadMap({ShardName(shard), {name, count_name}}));
    REFLUX_RETURN_IF_ERROR(LearnFrom(shard, values));
    if (!ValueOf(values, name).empty()) return false;
    known_count = ValueOf(values, count_name);
  }
  return absl::AbortedError("index: too many servers change one shard at once");
}

absl::StatusOr<std::optional<RadosEntry>> RadosIndex::Erase(const TargetKey& key) {
  const int shard = ShardOf(key);
  const std::string name = HeadName(key);
  for (int i = 0; i < kMaxTries; ++i) {
    REFLUX_ASSIGN_OR_RETURN(const Map values, control_.ReadMap({ShardName(shard), {name}}));
    if (values.empty()) return std::optional<RadosEntry>();
    const std::string& before = values.begin()->second;
    const absl::StatusOr<RadosEntry> entry = DecodeRadosEntry(before);
    if (!entry.ok()) {  // its set is not known: Recount mends the count
      REFLUX_RETURN_IF_ERROR(control_.ChangeMap(ShardName(shard), {.erase = {name}}));
      return std::optional<RadosEntry>();
    }
    const std::string count_name = CountName(entry->set);
    std::string known_count = KnownCount(shard, entry->set);
    if (i > 0 || known_count.empty()) {
      REFLUX_ASSIGN_OR_RETURN(const Map counts, control_.ReadMap({ShardName(shard), {count_name}}));
      known_count = ValueOf(counts, count_name);
    }
    const absl::Status status = TryChange(key, before, "", *entry, known_count);
    if (status.ok()) return std::optional<RadosEntry>(*entry);
    if (!absl::IsAborted(status)) return status;
  }
  return absl::AbortedError("index: too many servers change one shard at once");
}

absl::StatusOr<std::vector<std::optional<RadosEntry>>> RadosIndex::FindMany(
    const std::vector<TargetKey>& keys) {
  std::vector<RadosNamespace::MapQuery> queries(kRadosShards);
  for (const TargetKey& key : keys) queries[ShardOf(key)].keys.push_back(HeadName(key));
  for (int shard = 0; shard < kRadosShards; ++shard) queries[shard].object = ShardName(shard);
  std::erase_if(queries, [](const auto& query) { return query.keys.empty(); });
  REFLUX_ASSIGN_OR_RETURN(const std::vector<Map> answers, control_.ReadMaps(queries));
  Map found;
  for (const Map& answer : answers) found.insert(answer.begin(), answer.end());
  std::vector<std::optional<RadosEntry>> entries;
  for (const TargetKey& key : keys) {
    const std::string value = ValueOf(found, HeadName(key));
    const absl::StatusOr<RadosEntry> entry = DecodeRadosEntry(value);
    entries.push_back(entry.ok() ? std::make_optional(*entry) : std::nullopt);
  }
  return entries;
}

absl::Status RadosIndex::Refresh() {
  std::vector<RadosNamespace::MapQuery> queries(kRadosShards);
  std::vector<int> asked(kRadosShards);  // shards
  for (int shard = 0; shard < kRadosShards; ++shard) {
    queries[shard] = {.object = ShardName(shard), .prefix = "#", .limit = kPage};
    asked[shard] = shard;
  }
  while (!queries.empty()) {
    REFLUX_ASSIGN_OR_RETURN(const std::vector<Map> pages, control_.ReadMaps(queries));
    std::vector<RadosNamespace::MapQuery> further;
    std::vector<int> further_asked;
    for (size_t i = 0; i < pages.size(); ++i) {
      REFLUX_RETURN_IF_ERROR(LearnFrom(asked[i], pages[i]));
      if (pages[i].size() < kPage) continue;
      further.push_back(queries[i]);
      further.back().after = pages[i].rbegin()->first;
      further_asked.push_back(asked[i]);
    }
    queries = std::move(further);
    asked = std::move(further_asked);
  }
  return absl::OkStatus();
}

absl::Status RadosIndex::Visit(
    const std::function<absl::Status(const TargetKey&, const RadosEntry&)>& visit) {
  for (int shard = 0; shard < kRadosShards; ++shard) {
    std::string after;
    while (true) {
      REFLUX_ASSIGN_OR_RETURN(const Map page,
                              control_.ReadMap({.object = ShardName(shard), .after = after}));
      if (page.empty()) break;
      for (const auto& [name, value] : page) {
        const absl::StatusOr<TargetKey> key = ParseEntryName(name);
        if (!key.ok()) continue;  // a count
        const absl::StatusOr<RadosEntry> entry = DecodeRadosEntry(value);
        if (entry.ok()) REFLUX_RETURN_IF_ERROR(visit(*key, *entry));
      }
      after = page.rbegin()->first;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> RadosIndex::Recount() {
  int64_t wrong = 0;
  for (int shard = 0; shard < kRadosShards; ++shard) {
    REFLUX_ASSIGN_OR_RETURN(const int64_t mended, RecountShard(shard));
    wrong += mended;
  }
  return wrong;
}

absl::StatusOr<int64_t> RadosIndex::RecountShard(int shard) {
  const std::string object = ShardName(shard);
  // Counts first: a change in between makes the expected value wrong, and nothing is mended.
  Map stored;
  std::map<TargetSetId, RadosCount> counted;
  std::string after;
  while (true) {
    REFLUX_ASSIGN_OR_RETURN(const Map page, control_.ReadMap({.object = object, .after = after}));
    if (page.empty()) break;
    for (const auto& [name, value] : page) {
      if (const auto set = ParseCountName(name); set.ok()) {
        stored[name] = value;
        counted.try_emplace(*set);
      } else if (const auto entry = DecodeRadosEntry(value); entry.ok()) {
        ++counted[entry->set].entries;
        counted[entry->set].bytes += entry->size;
      }
    }
    after = page.rbegin()->first;
  }
  int64_t wrong = 0;
  for (auto& [set, count] : counted) {
    const std::string name = CountName(set), before = ValueOf(stored, name);
    const RadosCount was = DecodeRadosCount(before).value_or(RadosCount{});
    if (was.entries == count.entries && was.bytes == count.bytes) continue;
    count.revision = was.revision + 1;
    const absl::Status status = control_.ChangeMap(
        object, {.expected = {{name, before}}, .set = {{name, EncodeRadosCount(count)}}});
    if (absl::IsAborted(status)) continue;
    REFLUX_RETURN_IF_ERROR(status);
    Learn(shard, set, count);
    ++wrong;
  }
  return wrong;
}

}  // namespace reflux
