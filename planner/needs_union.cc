#include "planner/needs_union.h"

#include <algorithm>

#include "common/targets/reduction.h"

namespace reflux {
namespace {

// The index of `spec`, which is added if it is new.
size_t IndexOf(const TargetSpec& spec, std::vector<TargetSpec>& specs) {
  const auto found = std::find(specs.begin(), specs.end(), spec);
  if (found != specs.end()) return found - specs.begin();
  specs.push_back(spec);
  return specs.size() - 1;
}

void Mark(size_t spec, std::vector<bool>& marks) {
  if (marks.size() <= spec) marks.resize(spec + 1);
  marks[spec] = true;
}

}  // namespace

void NeedsUnion::AddTeacher(size_t place, const TeacherNeeds& teacher,
                            const std::vector<SampleRef>& samples, OfTeacher& all) {
  all.names.emplace(place, teacher.name);
  std::vector<size_t> plain, labelled;  // specs, by whether their targets depend on the label
  for (const TargetSpec& spec : teacher.specs) {
    (ReadsLabels(spec.reduction) ? labelled : plain).push_back(IndexOf(spec, all.specs));
  }
  const auto create = [&](const SampleRef& sample, std::vector<size_t>& same) -> Wanted& {
    same.push_back(all.wanted.size());
    return all.wanted.emplace_back(Wanted{.sample = sample, .place = place, .specs = {}});
  };
  for (const SampleRef& sample : samples) {
    std::vector<size_t>& same = all.index[{sample.digest, sample.view}];
    if (same.empty()) create(sample, same);
    for (const size_t spec : plain) Mark(spec, all.wanted[same.front()].specs);
    if (labelled.empty()) continue;
    // Who asked without a label takes this one: what it asked for does not depend on it.
    const auto fits = std::find_if(same.begin(), same.end(), [&](size_t i) {
      const Digest& label = all.wanted[i].sample.label_digest;
      return label == Digest() || label == sample.label_digest;
    });
    Wanted& wanted = fits == same.end() ? create(sample, same) : all.wanted[*fits];
    wanted.sample.label_digest = sample.label_digest;
    for (const size_t spec : labelled) Mark(spec, wanted.specs);
  }
}

void NeedsUnion::Add(size_t place, const JobNeeds& needs, const ServersOf& servers) {
  for (const TeacherNeeds& teacher : needs.teachers) {
    const auto found = servers.find(teacher.name);
    OfTeacher& all =
        teachers_[{found == servers.end() ? "" : found->second, teacher.info.identity}];
    if (all.names.empty()) {
      all.dataset = needs.dataset;
      all.info = teacher.info;
    }
    AddTeacher(place, teacher, needs.samples, all);
  }
}

void NeedsUnion::AppendParts(const std::string& servers, const OfTeacher& teacher,
                             std::vector<NeedsPart>& parts) {
  std::map<std::pair<size_t, std::vector<bool>>, std::vector<SampleRef>> groups;
  for (const Wanted& wanted : teacher.wanted) {
    std::vector<bool> specs = wanted.specs;
    specs.resize(teacher.specs.size());
    groups[{wanted.place, std::move(specs)}].push_back(wanted.sample);
  }
  for (const auto& [group, samples] : groups) {
    const auto& [place, marks] = group;
    NeedsPart part{.place = place,
                   .servers = servers,
                   .dataset = teacher.dataset,
                   .teacher = {.name = teacher.names.at(place), .info = teacher.info},
                   .samples = samples};
    for (size_t spec = 0; spec < marks.size(); ++spec) {
      if (!marks[spec]) continue;
      if (part.teacher.specs.size() == TargetRequest::kMaxSpecs) {
        parts.push_back(part);
        part.teacher.specs.clear();
      }
      part.teacher.specs.push_back(teacher.specs[spec]);
    }
    if (!part.teacher.specs.empty()) parts.push_back(std::move(part));
  }
}

std::vector<NeedsPart> NeedsUnion::Parts() const {
  std::vector<NeedsPart> parts;
  for (const auto& [key, teacher] : teachers_) AppendParts(key.first, teacher, parts);
  // Who has a teacher loaded computes all that it can before the next is loaded.
  std::stable_sort(parts.begin(), parts.end(),
                   [](const NeedsPart& a, const NeedsPart& b) { return a.place < b.place; });
  return parts;
}

std::vector<NeedsPart> PartsOf(const JobNeeds& needs, const ServersOf& servers) {
  NeedsUnion all;
  all.Add(0, needs, servers);
  return all.Parts();
}

}  // namespace reflux
