#include "distill/models/placement.h"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace reflux {
namespace {

void Place(torch::Tensor& tensor, const torch::Device& device, torch::ScalarType dtype,
           bool channels_last) {
  torch::Tensor placed = tensor.to(device);
  if (tensor.is_floating_point()) placed = placed.to(dtype);
  if (channels_last && tensor.dim() == 4)
    placed = placed.contiguous(at::MemoryFormat::ChannelsLast);
  tensor.set_data(placed);
}

}  // namespace

void PlaceModule(torch::nn::Module& module, const torch::Device& device, torch::ScalarType dtype,
                 bool channels_last) {
  const torch::NoGradGuard no_gradients;
  for (torch::Tensor& parameter : module.parameters())
    Place(parameter, device, dtype, channels_last);
  for (torch::Tensor& buffer : module.buffers()) Place(buffer, device, dtype, channels_last);
}

void AwaitDevice(const torch::Device& device) {
  if (device.is_cpu()) return;
  c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
}

}  // namespace reflux
