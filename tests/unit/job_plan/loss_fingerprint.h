// All that an option of a job can change of a loss: the term that is planned, its taps, the sizes
// of its parameters and buffers, its values and gradients on a fixed batch. As text, to be
// compared.
#pragma once

#include <string>

namespace reflux {

// Of `loss`, a field of LossesSpec or "own.NAME", with `options` in YAML ("temperature: 2").
std::string Fingerprint(const std::string& loss, const std::string& options);

}  // namespace reflux
