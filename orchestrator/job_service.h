// The orchestrator on the wire: JobService and MembershipService of jobs.proto.
#pragma once

#include <memory>

#include "orchestrator/orchestrator.h"
#include "reflux/v1/jobs.grpc.pb.h"

namespace reflux {

// The orchestrator is not owned and must outlive the services.
std::unique_ptr<v1::JobService::Service> MakeJobService(Orchestrator& orchestrator);
std::unique_ptr<v1::MembershipService::Service> MakeMembershipService(Orchestrator& orchestrator);

}  // namespace reflux
