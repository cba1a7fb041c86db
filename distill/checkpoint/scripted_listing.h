// What a TorchScript file says without being run: `reflux inspect` and `import`. Torch-free.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "distill/checkpoint/torch_file.h"

namespace reflux {

struct ScriptedTensor {
  enum class Kind : uint8_t { kParameter, kBuffer, kAttribute };  // the last: neither
  std::string name;                                               // "norm.weight"
  Kind kind = Kind::kAttribute;
  StoredTensor stored;
};

struct ScriptedListing {
  std::string module_class;             // "__torch__.Network"
  std::vector<ScriptedTensor> tensors;  // in the module's order
  std::string code_digest;              // as ScriptedModel::configuration() has it
  std::string preprocessing;            // the JSON saved with it (scripted_model.h); empty: none
};

// Executes nothing: the module's pickle is read as data (pickle_reader.h), its classes' lists of
// parameters and buffers as text. InvalidArgument for what is not TorchScript; DataLoss for a
// damaged file; Unimplemented for quantised and sparse tensors;
// ResourceExhausted for what is nested too deep (a module that holds itself) or would unpack to too
// much. Reads the file once.
absl::StatusOr<ScriptedListing> ListScriptedFile(std::shared_ptr<const ByteSource> source);

}  // namespace reflux
