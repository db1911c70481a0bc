"""Mean, deviation, standard error, and Welch's t-test."""

import math
import statistics


class Sample:
    """Mean, sample standard deviation and standard error of some numbers; None where there are too few."""

    def __init__(self, values):
        self.values = list(values)
        self.n = len(self.values)
        self.mean = statistics.fmean(self.values) if self.n else None
        self.deviation = statistics.stdev(self.values) if self.n > 1 else None
        self.error = self.deviation / math.sqrt(self.n) if self.n > 1 else None


def continued_fraction(a, b, x):
    """Of the incomplete beta function, by the modified method of Lentz (Numerical Recipes, section 6.4)."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 10000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d, c = 1 + term * d, 1 + term / c
            d, c = 1 / (d if abs(d) > tiny else tiny), c if abs(c) > tiny else tiny
            value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return value


def incomplete_beta(a, b, x):
    """Regularised, I_x(a, b), for a, b > 0 and 0 <= x <= 1."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * continued_fraction(a, b, x) / a
    return 1 - front * continued_fraction(b, a, 1 - x) / b


def welch(first, second):
    """(t, degrees of freedom, two-sided p) of two Samples; None where one has fewer than two values. Two samples
    without any spread differ for certain or not at all."""
    if first.n < 2 or second.n < 2:
        return None
    a, b = first.deviation**2 / first.n, second.deviation**2 / second.n
    difference = first.mean - second.mean
    if a + b == 0:
        return (0.0 if difference == 0 else math.copysign(math.inf, difference), first.n + second.n - 2,
                float(difference == 0))
    t = difference / math.sqrt(a + b)
    freedom = (a + b) ** 2 / (a * a / (first.n - 1) + b * b / (second.n - 1))
    return t, freedom, incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))
