"""6.2.2: corporate purchasing by bankcard: controls, holds, captures and statements at the issuing bank."""
