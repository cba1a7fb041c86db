#include "common/spec/loss_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace reflux {
namespace {

using google::protobuf::FieldDescriptor;

std::map<std::string, const v1::OwnLossSpec*> SortedOwn(const v1::LossesSpec& losses) {
  std::map<std::string, const v1::OwnLossSpec*> sorted;
  for (const auto& [name, spec] : losses.own()) sorted[name] = &spec;
  return sorted;
}

// Calls `visit(field, name, text)` for every loss that is there and has the string field
// `wanted`: name is that of the loss, "own.NAME" for one of `own`. In the order of fields, then of
// names.
template <typename Visit>
void VisitLosses(const v1::LossesSpec& losses, const char* wanted, Visit visit) {
  const auto& reflection = *losses.GetReflection();
  std::vector<const FieldDescriptor*> present;
  reflection.ListFields(losses, &present);
  for (const FieldDescriptor* loss : present) {
    if (loss->is_map()) continue;
    const FieldDescriptor* field = loss->message_type()->FindFieldByName(wanted);
    if (field == nullptr) continue;
    const auto& block = reflection.GetMessage(losses, loss);
    visit(*loss, std::string(loss->name()), block.GetReflection()->GetString(block, field));
  }
  const FieldDescriptor& own = *v1::LossesSpec::descriptor()->FindFieldByName("own");
  const FieldDescriptor& field = *v1::OwnLossSpec::descriptor()->FindFieldByName(wanted);
  for (const auto& [name, spec] : SortedOwn(losses)) {
    visit(own, absl::StrCat("own.", name), spec->GetReflection()->GetString(*spec, &field));
  }
}

}  // namespace

std::vector<LossTeacher> TeachersOfLosses(const v1::LossesSpec& losses) {
  std::vector<LossTeacher> teachers;
  VisitLosses(losses, "teacher",
              [&](const FieldDescriptor&, std::string loss, std::string teacher) {
                teachers.push_back({std::move(loss), std::move(teacher)});
              });
  return teachers;
}

void RemoveTeacherLosses(v1::LossesSpec& losses) {
  std::set<const FieldDescriptor*> fields;
  VisitLosses(losses, "teacher",
              [&](const FieldDescriptor& field, const std::string&, const std::string&) {
                fields.insert(&field);
              });
  for (const FieldDescriptor* field : fields) losses.GetReflection()->ClearField(&losses, field);
}

std::vector<LossTap> TapsOfLosses(const v1::LossesSpec& losses) {
  std::vector<LossTap> taps;
  VisitLosses(losses, "tap", [&](const FieldDescriptor&, std::string loss, std::string tap) {
    taps.push_back({std::move(loss), std::move(tap)});
  });
  return taps;
}

}  // namespace reflux
