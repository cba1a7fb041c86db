// Owner of the precompiled torch header (cmake/LibTorch.cmake).
