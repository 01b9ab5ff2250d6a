#include "support/driver_leaks.h"
