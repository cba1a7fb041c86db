// The terms by which a student teaches itself.
#pragma once

#include "job_plan/loss_term.h"

namespace reflux {

// Errors: NotFound for a tap that the student has not, InvalidArgument for a bad option,
// FailedPrecondition for a term of classifiers where the student is none.
absl::StatusOr<LossTerm> FrskdTerm(const v1::FrskdSpec& spec, const LossSource& source);
absl::StatusOr<LossTerm> FrskdClassifierTerm(const v1::FrskdClassifierSpec& spec,
                                             const LossSource& source);
absl::StatusOr<LossTerm> SlaTerm(const v1::SlaSpec& spec, const LossSource& source);

}  // namespace reflux
