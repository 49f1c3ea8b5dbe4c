// Classes, moments and histograms of the Gaussians of a fitted field; fitting/statistics.py says what they mean.
#include "gaussians.h"

#include "clones.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

namespace measure {
namespace {

constexpr int kBlock = 256;  // Gaussians handled at once; a multiple of kLanes
constexpr int kInterior = 4;
constexpr int kRows = kAveraged + 1;  // the averaged entries, and ones
constexpr int kCells = 256;           // of the table that finds a direction's bin

// Compilers keep sums of these in registers, but not those of an array of doubles.
typedef double Pair __attribute__((vector_size(16)));
typedef double Four __attribute__((vector_size(32), may_alias));
constexpr int kFours = kLanes / 4;

enum Row { kL11, kL21, kL22, kXX, kXY, kYY, kLong, kRatio, kCos, kSin, kOne };

struct Block {
  double x[kBlock], y[kBlock], l11[kBlock], l21[kBlock], l22[kBlock], amplitude[kBlock], indefinite[kBlock];
  double classes[kBlock];
};

inline double larger(double a, double b) { return a > b ? a : b; }
inline double smaller(double a, double b) { return a < b ? a : b; }

void load(const GaussiansArguments& f, int64_t begin, int n, Block* b) {
  const float *means = f.means + 2 * begin, *l = f.cholesky + 3 * begin, *colors = f.colors + f.channels * begin;
  for (int i = 0; i < n; ++i) {
    b->x[i] = means[2 * i], b->y[i] = means[2 * i + 1];
    b->l11[i] = l[3 * i], b->l21[i] = l[3 * i + 1], b->l22[i] = l[3 * i + 2];
  }
  for (int i = 0; i < n; ++i) {
    double amplitude = 0, none = 0;  // none: NaN if a colour is not finite
    for (int c = 0; c < f.channels; ++c) {
      const double value = colors[f.channels * i + c];
      amplitude = larger(amplitude, std::fabs(value));
      none += value - value;
    }
    b->amplitude[i] = amplitude, b->indefinite[i] = none;
  }
}

void classify(const GaussiansArguments& f, int n, Block* b) {
  const double border = f.border * f.spacing;
  for (int i = 0; i < n; ++i) {
    const double x = b->x[i], y = b->y[i], l11 = b->l11[i], l21 = b->l21[i], l22 = b->l22[i];
    const double none = b->indefinite[i] + (x - x) + (y - y) + (l11 - l11) + (l21 - l21) + (l22 - l22);
    const double determinant = (l11 * l11) * (l21 * l21 + l22 * l22) - (l11 * l21) * (l11 * l21);
    const double reach_x = f.cutoff * l11, reach_y = f.cutoff * std::sqrt(l21 * l21 + l22 * l22);
    const double distance = smaller(smaller(x, f.width - x), smaller(y, f.height - y));
    double found = distance < border ? 3.0 : 4.0;
    found = b->amplitude[i] < f.dead ? 2.0 : found;
    found = x + reach_x < 0 ? 1.0 : found;
    found = x - reach_x > f.width ? 1.0 : found;
    found = y + reach_y < 0 ? 1.0 : found;
    found = y - reach_y > f.height ? 1.0 : found;
    found = none == 0 ? found : 0.0;
    found = l11 > 0 ? found : 0.0;
    found = l22 > 0 ? found : 0.0;
    b->classes[i] = determinant > 0 ? found : 0.0;
  }
}

// The bins of directions: those of the doubled angle, which has twice the range, found by comparing cosines. A table has
// the edges that every cosine of a cell has passed; the few others within a cell are compared one by one, without
// branches, which a processor could not foresee.
class Directions {
 public:
  Directions(const double* turns, int half) : half_(half), turns_(turns, turns + half - 1) {
    const int edges = half - 1;
    int before = 0, until = 0;
    for (int cell = 0; cell <= kCells; ++cell) {
      const double margin = 1.0 / (1 << 20);  // far above the rounding of a cell's number
      while (before < edges && turns[before] > 1 - cell * (2.0 / kCells) + margin) ++before;
      while (until < edges && turns[until] >= 1 - (cell + 1) * (2.0 / kCells) - margin) ++until;
      first_[cell] = before;
      steps_ = std::max(steps_, until - before);
    }
    turns_.insert(turns_.end(), steps_ + 1, -2.0);  // below all cosines
  }

  int bin(double cos, double sin) const {
    int passed = first_[static_cast<int>((1 - cos) * (kCells / 2))];
    const bool back = sin < 0;
    for (int step = 0; step < steps_; ++step) {
      const double turn = turns_[passed];
      passed += (cos < turn) | ((cos == turn) & !back);
    }
    const int found = back ? half_ - 1 - passed : half_ + passed;
    return (cos == 0) & (sin == 0) ? half_ : found;  // a circle
  }

 private:
  int half_, steps_ = 0;
  std::vector<double> turns_;
  int first_[kCells + 1];
};

// Sums over interior Gaussians, which are added a block at a time.
class Sums {
 public:
  explicit Sums(const GaussiansArguments& f)
      : f_(f), directions_(f.turns, f.bins / 2), histograms_(new Pair[kEntries * f.bins]()) {
    std::memset(lanes_, 0, sizeof lanes_);
  }

  void add(const Block& b, int n) {
    for (int i = 0; i < n; ++i) {
      rows_[kL11][filled_] = b.l11[i], rows_[kL21][filled_] = b.l21[i], rows_[kL22][filled_] = b.l22[i];
      amplitude_[filled_] = b.amplitude[i];
      filled_ += b.classes[i] == kInterior;
      if (filled_ == kBlock) flush();
    }
  }

  void finish() {
    flush();
    for (int weight = 0; weight < 2; ++weight)
      for (int k = 0; k <= kMoments; ++k) {
        double* s = lanes_[k][weight];
        for (int half = kLanes / 2; half > 0; half /= 2)
          for (int i = 0; i < half; ++i) s[i] += s[i + half];
        f_.sums[weight * (kMoments + 1) + k] = s[0];
      }
    const int bins = kEntries * f_.bins;
    for (int bin = 0; bin < bins; ++bin)
      for (int weight = 0; weight < 2; ++weight) f_.histograms[weight * bins + bin] = histograms_[bin][weight];
  }

 private:
  void flush() {
    const int padded = (filled_ + kLanes - 1) / kLanes * kLanes;
    find_entries();
    find_bins();
    for (int i = filled_; i < padded; ++i) {
      for (auto& row : rows_) row[i] = 0;
      amplitude_[i] = 0;
    }
    add_moments(padded);
    filled_ = 0;
  }

  void find_entries() {
    for (int i = 0; i < filled_; ++i) {
      const double l11 = rows_[kL11][i] / f_.spacing, l21 = rows_[kL21][i] / f_.spacing;
      const double l22 = rows_[kL22][i] / f_.spacing;
      const double xx = l11 * l11, xy = l11 * l21, yy = l21 * l21 + l22 * l22;
      const double difference = std::sqrt((xx - yy) * (xx - yy) + 4 * xy * xy);
      const double per_difference = 1 / (difference > 0 ? difference : 1.0);
      const double variance = (xx + yy + difference) / 2;
      rows_[kL11][i] = l11, rows_[kL21][i] = l21, rows_[kL22][i] = l22;
      rows_[kXX][i] = xx, rows_[kXY][i] = xy, rows_[kYY][i] = yy;
      rows_[kLong][i] = std::sqrt(variance), rows_[kRatio][i] = l11 * l22 / variance;
      rows_[kCos][i] = (xx - yy) * per_difference, rows_[kSin][i] = 2 * xy * per_difference;
      rows_[kOne][i] = 1;
    }
  }

  void find_bins() {
    const double top = f_.bins - 1;
    for (int e = 0; e < kEntries - 1; ++e) {
      const double low = f_.ranges[2 * e], scale = f_.bins / (f_.ranges[2 * e + 1] - low);
      const double* row = rows_[e];
      for (int i = 0; i < filled_; ++i)
        bins_[e][i] = e * f_.bins + static_cast<int32_t>(smaller(larger((row[i] - low) * scale, 0), top));
    }
    for (int i = 0; i < filled_; ++i)
      bins_[kEntries - 1][i] = (kEntries - 1) * f_.bins + directions_.bin(rows_[kCos][i], rows_[kSin][i]);
    for (int i = 0; i < filled_; ++i) {
      const Pair weights{1, amplitude_[i]};
      for (int e = 0; e < kEntries; ++e) histograms_[bins_[e][i]] += weights;
    }
  }

  void add_moments(int n) {
    for (int k = 0; k < kAveraged; ++k) add_products(rows_[k], rows_[kOne], n, k);
    int k = kAveraged;
    for (const int* block : {kTriples[0], kTriples[1], kTriples[2]})
      for (int a = block[0]; a < block[1]; ++a)
        for (int b = a; b < block[1]; ++b) add_products(rows_[a], rows_[b], n, k++);
    add_products(rows_[kOne], rows_[kOne], n, k);
  }

  void add_products(const double* a, const double* b, int n, int k) {
    Four plain[kFours], weighted[kFours];
    std::memcpy(plain, lanes_[k][0], sizeof plain);
    std::memcpy(weighted, lanes_[k][1], sizeof weighted);
    const auto fours = [](const double* row) { return reinterpret_cast<const Four*>(row); };
    const Four *left = fours(a), *right = fours(b), *amplitude = fours(amplitude_);
    for (int i = 0; i < n / 4; i += kFours)
      for (int lane = 0; lane < kFours; ++lane) {
        const Four product = left[i + lane] * right[i + lane];
        plain[lane] += product;
        weighted[lane] += product * amplitude[i + lane];
      }
    std::memcpy(lanes_[k][0], plain, sizeof plain);
    std::memcpy(lanes_[k][1], weighted, sizeof weighted);
  }

  static constexpr int kTriples[3][2] = {{0, 3}, {3, 6}, {6, 10}};  // rows that are multiplied among themselves

  const GaussiansArguments& f_;
  const Directions directions_;
  std::unique_ptr<Pair[]> histograms_;  // by weight
  int filled_ = 0;
  alignas(64) double rows_[kRows][kBlock], amplitude_[kBlock];
  int32_t bins_[kEntries][kBlock];
  double lanes_[kMoments + 1][2][kLanes];
};

constexpr int Sums::kTriples[3][2];

}  // namespace

MEASURE_CLONES void sum_gaussians(const GaussiansArguments& f) {
  Block block;
  Sums sums(f);
  for (int64_t begin = 0; begin < f.gaussians; begin += kBlock) {
    const int n = static_cast<int>(std::min<int64_t>(kBlock, f.gaussians - begin));
    load(f, begin, n, &block);
    classify(f, n, &block);
    for (int i = 0; i < n; ++i) f.classes[begin + i] = static_cast<uint8_t>(block.classes[i]);
    sums.add(block, n);
  }
  sums.finish();
}

}  // namespace measure
