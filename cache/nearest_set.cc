#include "cache/nearest_set.h"

#include <tuple>
#include <utility>

namespace reflux {
namespace {

int Distance(const std::vector<std::string>& differs) {
  int distance = 0;
  for (const std::string& field : differs) {
    distance += field == "teacher.digest" ? 100 : field == "tap" ? 10 : 1;
  }
  return distance;
}

}  // namespace

std::vector<std::string> DifferingFields(const TargetSet& wanted, const TargetSet& held) {
  std::vector<std::string> fields;
  const auto compare = [&](const char* name, const auto& a, const auto& b) {
    if (a != b) fields.emplace_back(name);
  };
  compare("teacher.digest", wanted.teacher.digest, held.teacher.digest);
  const Preprocessing &a = wanted.teacher.preprocessing, &b = held.teacher.preprocessing;
  compare("preprocessing.order", a.bgr, b.bgr);
  compare("preprocessing.divisor", a.divisor, b.divisor);
  compare("preprocessing.mean", a.mean, b.mean);
  compare("preprocessing.deviation", a.deviation, b.deviation);
  const Numerics &m = wanted.teacher.numerics, &n = held.teacher.numerics;
  compare("numerics.mode", m.mode, n.mode);
  compare("numerics.compute", m.compute, n.compute);
  compare("numerics.tf32", m.tf32, n.tf32);
  compare("numerics.threads", m.threads, n.threads);
  compare("numerics.batch", m.batch, n.batch);
  compare("numerics.inference_revision", m.inference_revision, n.inference_revision);
  compare("tap", wanted.spec.tap, held.spec.tap);
  compare("reduction", wanted.spec.reduction, held.spec.reduction);
  compare("codec", wanted.spec.codec, held.spec.codec);
  return fields;
}

std::optional<NearestSet> FindNearestSet(const TargetSet& wanted,
                                         const std::vector<StoredSet>& held) {
  std::optional<NearestSet> nearest;
  for (const StoredSet& set : held) {
    NearestSet candidate{.set = set, .differs = DifferingFields(wanted, set.set)};
    if (!nearest.has_value() || std::tuple(Distance(candidate.differs), -candidate.set.entries) <
                                    std::tuple(Distance(nearest->differs), -nearest->set.entries)) {
      nearest = std::move(candidate);
    }
  }
  return nearest;
}

}  // namespace reflux
