// The CUDA kernels of the recipe `gaussianimage` that differ from those of `fast`; included by kernels.cu.
// `parameters` [B, 5 + C, N]; a lane per Gaussian.

// As splat2d_prepare_fast.
SPLAT2D_KERNEL splat2d_prepare_gaussianimage(const float* parameters, float bound11, float bound21, float bound22,
                                             unsigned batch, unsigned n, int height, int width, float cutoff,
                                             Record* records, Box* boxes, Box* chunks) {
  const Place at(groups_of(n));
  if (at.row >= batch) return;
  const unsigned i = at.item * kWarp + lane_index();
  Box box = nothing();
  if (i < n) {
    const float* p = parameters + static_cast<long long>(at.row) * kParameters * n + i;
    const long long flat = static_cast<long long>(at.row) * n + i, stride = n;
    const float x = coordinate_of(p[0], static_cast<float>(width)).value;
    const float y = coordinate_of(p[stride], static_cast<float>(height)).value;
    const Factor factor = {p[2 * stride] + bound11, p[3 * stride] + bound21, p[4 * stride] + bound22};
    const Canvas canvas(width, height);
    const Shape shape = shape_of_factor(x, y, factor, canvas);
    records[flat].shape = shape;
    boxes[flat] = box = box_of(shape, canvas, cutoff);
  }
  box = hull_of_warp(box);
  if (lane_index() == 0) chunks[at.row * groups_of(n) + at.item] = box;
}

// One step of Adan for every parameter of every crop. `schedule` [iterations, 4]: the rate, and Adan's bias
// corrections. `state` [B, 4, 5 + C, N]: momentum, change, second moment, and the previous gradient if `started`.
SPLAT2D_KERNEL splat2d_update_gaussianimage(const float* sums, const Record* records, const float* schedule,
                                            unsigned step, unsigned started, unsigned batch, unsigned n, int height,
                                            int width, float bound11, float bound21, float bound22, float beta1,
                                            float beta2, float beta3, float epsilon, float* parameters, float* state) {
  const Place at(groups_of(n));
  const unsigned i = at.item * kWarp + lane_index();
  if (at.row >= batch || i >= n) return;
  const long long flat = static_cast<long long>(at.row) * n + i, stride = n, size = kParameters * stride;
  const float* rate = schedule + 4 * step;
  const Adan adan = {beta1, beta2, beta3, epsilon, rate[1], rate[2], rate[3]};
  const float* sum = sums + flat * kParameters;
  float *p = parameters + at.row * size + i, *s = state + 4 * at.row * size + i;

  const Record record = records[flat];
  const Shape& shape = record.shape;
  const Gradient by =
      gradient_of({sum[0], sum[1], sum[2], sum[3], sum[4]}, shape.u_per_x, shape.u_per_y, shape.v_per_y);
  const Factor raw = {p[2 * stride] + bound11, p[3 * stride] + bound21, p[4 * stride] + bound22};
  const Factor by_factor = factor_gradient(by, raw);
  float gradient[kParameters] = {coordinate_of(p[0], static_cast<float>(width)).slope * by.mx,
                                 coordinate_of(p[stride], static_cast<float>(height)).slope * by.my, by_factor.l11,
                                 by_factor.l21, by_factor.l22};
  for (int k = 5; k < kParameters; ++k) gradient[k] = sum[k];
  for (int k = 0; k < kParameters; ++k, p += stride, s += stride) {
    float* before = s + 3 * size;
    const float difference = started ? gradient[k] - *before : 0.0f;
    *p = *p - rate[0] * adan.step(gradient[k], difference, s, s + size, s + 2 * size);
    *before = gradient[k];
  }
}
