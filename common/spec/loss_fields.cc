#include "common/spec/loss_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

namespace reflux {
namespace {

using google::protobuf::FieldDescriptor;

// Calls `visit(loss field, text)` for every loss that is there and has the string field `name`.
template <typename Visit>
void VisitLosses(const v1::LossesSpec& losses, const char* name, Visit visit) {
  const auto& reflection = *losses.GetReflection();
  std::vector<const FieldDescriptor*> present;
  reflection.ListFields(losses, &present);
  for (const FieldDescriptor* loss : present) {
    const FieldDescriptor* field = loss->message_type()->FindFieldByName(name);
    if (field == nullptr) continue;
    const auto& block = reflection.GetMessage(losses, loss);
    visit(*loss, block.GetReflection()->GetString(block, field));
  }
}

}  // namespace

std::vector<LossTeacher> TeachersOfLosses(const v1::LossesSpec& losses) {
  std::vector<LossTeacher> teachers;
  VisitLosses(losses, "teacher", [&](const FieldDescriptor& loss, std::string teacher) {
    teachers.push_back({std::string(loss.name()), std::move(teacher)});
  });
  return teachers;
}

void RemoveTeacherLosses(v1::LossesSpec& losses) {
  std::vector<const FieldDescriptor*> fields;
  VisitLosses(losses, "teacher",
              [&](const FieldDescriptor& loss, const std::string&) { fields.push_back(&loss); });
  for (const FieldDescriptor* field : fields) losses.GetReflection()->ClearField(&losses, field);
}

std::vector<LossTap> TapsOfLosses(const v1::LossesSpec& losses) {
  std::vector<LossTap> taps;
  VisitLosses(losses, "tap", [&](const FieldDescriptor& loss, std::string tap) {
    taps.push_back({std::string(loss.name()), std::move(tap)});
  });
  return taps;
}

}  // namespace reflux
