// Between the vocabulary (target.h) and its messages. From-functions check every bound and name the
// field in InvalidArgument; nothing is allocated by a size that was not checked. A field unknown to
// this version is refused in what names a target (identity, view, spec), ignored elsewhere.
#pragma once

#include "common/targets/target.h"
#include "common/targets/target_key.h"
#include "reflux/v1/targets.pb.h"

namespace reflux {

// Of a sample's image and label, encoded; a server's messages are a little longer
// (kTargetServiceMaxReceiveBytes).
inline constexpr size_t kMaxImageBytes = size_t{64} << 20;

v1::Preprocessing ToProto(const Preprocessing& preprocessing);
v1::Numerics ToProto(const Numerics& numerics);
v1::TeacherIdentity ToProto(const TeacherIdentity& identity);
v1::View ToProto(const View& view);
v1::TargetSpec ToProto(const TargetSpec& spec);
v1::TargetSet ToProto(const TargetSet& set);  // without counts
v1::TeacherInfo ToProto(const TeacherInfo& info);
v1::FetchRequest ToProto(const TargetRequest& request, Priority priority);

absl::StatusOr<TeacherIdentity> FromProto(const v1::TeacherIdentity& message);
absl::StatusOr<TargetSpec> FromProto(const v1::TargetSpec& message);
absl::StatusOr<TargetSet> TargetSetFromProto(const v1::TargetSet& message);
absl::StatusOr<TeacherInfo> FromProto(const v1::TeacherInfo& message);
// Moves images out of `message`.
absl::StatusOr<TargetRequest> FromProto(v1::FetchRequest&& message);
// Copies the message, unless there is too much in it.
absl::StatusOr<TargetRequest> FromProto(const v1::FetchRequest& message);

}  // namespace reflux
