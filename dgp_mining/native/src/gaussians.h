#pragma once

#include "api.h"

namespace measure {

void sum_gaussians(const GaussiansArguments& arguments);

}  // namespace measure
