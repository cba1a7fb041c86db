# Imports LibTorch from the PyPI wheel without the wheel's own CMake files, which demand a CUDA toolkit.
#
# reflux::torch       CPU library with c10d (Gloo); all that every program links.
# reflux::torch_cuda  adds CUDA and NCCL; only the NCCL communicator module links it.
set(REFLUX_LIBTORCH "$ENV{HOME}/.cache/reflux/libtorch-2.11.0" CACHE PATH
    "Folder that holds torch/ and nvidia/ (deploy/setup.sh fills it)")
set(_torch ${REFLUX_LIBTORCH}/torch)
if(NOT EXISTS ${_torch}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "LibTorch is not in ${REFLUX_LIBTORCH}: run deploy/setup.sh first, or set "
                      "-DREFLUX_LIBTORCH=DIR (-DREFLUX_TORCH=OFF builds the torch-free parts)")
endif()

add_library(reflux_torch INTERFACE)
add_library(reflux::torch ALIAS reflux_torch)
# -idirafter: the wheel ships google/protobuf headers that must not shadow Debian's.
target_compile_options(reflux_torch INTERFACE
  "SHELL:-idirafter ${_torch}/include" "SHELL:-idirafter ${_torch}/include/torch/csrc/api/include")
target_compile_definitions(reflux_torch INTERFACE USE_DISTRIBUTED USE_C10D_GLOO)
target_link_options(reflux_torch INTERFACE "-Wl,-rpath,${_torch}/lib"
  "-Wl,-rpath,${REFLUX_LIBTORCH}/nvidia/cu13/lib")
target_link_libraries(reflux_torch INTERFACE -Wl,--push-state,--no-as-needed
  ${_torch}/lib/libtorch_cpu.so ${_torch}/lib/libc10.so -Wl,--pop-state Threads::Threads)

# The one precompiled torch header: what most files use. Not torch/torch.h: its templates of every
# module, layer and data loader are instantiated anew in each file, half the time of compiling one. A
# file that uses a layer includes that layer's header.
add_library(reflux_torch_pch STATIC ${CMAKE_SOURCE_DIR}/cmake/torch_pch.cc)
target_link_libraries(reflux_torch_pch PUBLIC reflux::torch)
target_precompile_headers(reflux_torch_pch PRIVATE
  <torch/types.h> <torch/utils.h> <torch/autograd.h> <torch/nn/module.h>
  <torch/nn/modules/container/sequential.h> <torch/nn/modules/container/modulelist.h>
  <torch/nn/modules/container/parameterlist.h> <torch/optim/sgd.h>)
